"""Writes the measured figures into a model card, between its two markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fragments import CATEGORIES

__all__ = ["rewrite", "table"]

_BEGIN, _END = "<!-- figures: written by recipe/evaluate.py -->\n", "<!-- end -->"
_SETS = {
    "test": "Apart test set",
    "legal_threats": "Legal threats (each needs a human)",
    "legal_near_misses": "Near misses of legal threats (none needs a human)",
    "demo": "Demo tickets",
}
_ROWS = {
    "category": "category",
    "priority": "priority",
    "needs_human": "needs_human",
    "needs_human_recall": "needs_human, of those that need one",
    "needs_human_specificity": "needs_human, of those that do not",
    "order_id": "order_id",
    "order_id_when_named": "order_id, of those that name one",
    "all": "all",
    "valid": "parses and fits the schema",
}


def _cell(entry: dict[str, Any]) -> str:
    low, high = entry["interval"]
    share = 100 * entry["share"]
    return f"{share:.1f} ({100 * low:.0f}-{100 * high:.0f})"


def table(figures: dict[str, Any], name: str) -> str:
    """The card's tables: every set, the model beside the baseline, in percent."""
    parts = []
    for which, title in _SETS.items():
        model, baseline = figures["model"][which], figures["baseline"][which]
        count = model["all"]["of"]
        parts.append(f"{title}, {count} tickets, right answers in percent\n")
        parts.append(f"| field | {name} (95 % interval) | TF-IDF + LR (95 %) |")
        parts.append("| --- | --- | --- |")
        for field, words in _ROWS.items():
            if model[field]["of"] == 0:
                continue
            cells = f"{_cell(model[field])} | {_cell(baseline[field])}"
            parts.append(f"| {words} | {cells} |")
        parts.append("")
    parts.append("Apart test set by true category: category, and all fields, right\n")
    parts.append(f"| category | {name}: category | {name}: all | TF-IDF + LR: all |")
    parts.append("| --- | --- | --- | --- |")
    for category in CATEGORIES:
        model = figures["model"][f"test_{category}"]
        other = figures["baseline"][f"test_{category}"]["all"]
        cells = f"{_cell(model['category'])} | {_cell(model['all'])} | {_cell(other)}"
        parts.append(f"| {category} ({other['of']}) | {cells} |")
    parts.append("")
    held = figures["model"]["held_out_fragments"]
    shares = ", ".join(f"{f} {_cell(held[f])}" for f in ("category", "priority", "all"))
    parts.append(
        f"Composed tickets from fragments held out of training ({held['all']['of']}): "
        f"{shares}.\n"
    )
    return "\n".join(parts)


def rewrite(card: Path, text: str) -> None:
    """Put `text` between the markers of the file `card`."""
    before, rest = card.read_text("utf-8").split(_BEGIN)
    after = rest.split(_END, 1)[1]
    card.write_text(before + _BEGIN + text + _END + after, "utf-8")
