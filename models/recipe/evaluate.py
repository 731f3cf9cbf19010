"""Scores the GGUFs beside TF-IDF + logistic regression.

`python evaluate.py` rewrites `figures.json` and both cards from the committed files:
the apart test set (`data/test.jsonl`), the demo tickets, the slice of legal threats,
and a baseline trained on each model's own corpus. `--gguf FILE --dev` scores another
file on the development tickets and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from cards import rewrite, table
from corpus import Composer, label
from fragments import CATEGORIES
from scoring import answers, greedy, load, read_tickets, score
from text import PROMPT

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "llmguard_models" / "data"
DESK = {"triage-1.0": 0.0, "triage-1.1": 0.65}  # share of the desk's tickets
SAMPLED = 10  # one ticket in so many has its answer published
_ORDER = re.compile(
    r"#\s?(\d{4,6})\b|\b([A-Z]{2,3}-(?:\d{4}-)?\d{4,6})\b|\border (\d{4,6})\b",
    re.IGNORECASE,
)

Tickets = list[dict[str, Any]]


def ticket_sets() -> dict[str, Tickets]:
    """The sets of hand-written tickets that are published, and parts of them."""
    test = read_tickets(HERE / "data" / "test.jsonl")
    legal = read_tickets(HERE / "data" / "slice_legal.jsonl")
    sets = {"test": test, "demo": read_tickets(PACKAGE / "demo_tickets.jsonl")}
    sets["legal_threats"] = [t for t in legal if t["label"]["needs_human"]]
    sets["legal_near_misses"] = [t for t in legal if not t["label"]["needs_human"]]
    for category in CATEGORIES:
        sets[f"test_{category}"] = [
            t for t in test if t["label"]["category"] == category
        ]
    return sets


def model_figures(
    gguf: Path, sets: dict[str, Tickets]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores of one GGUF on every named set, greedy and unconstrained; its answers."""
    ask = partial(greedy, load(gguf))
    said: dict[str, Any] = {}
    for tickets in sets.values():
        new = [t for t in tickets if t["id"] not in said]
        found = answers(ask, new, PROMPT)
        said.update(zip((t["id"] for t in new), found, strict=True))
    scores = {
        name: score(tickets, [said[t["id"]] for t in tickets])
        for name, tickets in sets.items()
    }
    return scores, said


def dev_split(gguf: Path, count: int) -> dict[str, Any]:
    """Scores on tickets composed from the fragments held out of training."""
    examples = [
        e for e in islice(Composer(99, dev=True), count * 2) if not e.only_category
    ][:count]
    tickets = [{"text": e.text, "label": label(e)} for e in examples]
    return score(tickets, answers(partial(greedy, load(gguf)), tickets, PROMPT))


def _named_order(text: str) -> str | None:
    found = _ORDER.search(text)
    return next((group for group in found.groups() if group), None) if found else None


def baseline_figures(
    composer: Composer, count: int, sets: dict[str, Tickets]
) -> dict[str, Any]:
    """TF-IDF + one logistic regression per field, a pattern for the order id."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    examples = [e for e in islice(composer, count) if not e.only_category]
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = vectors.fit_transform([e.text for e in examples])
    fitted = {}
    for field in ("category", "priority", "needs_human"):
        classifier = LogisticRegression(C=10.0, max_iter=300)
        fitted[field] = classifier.fit(x, [str(label(e)[field]) for e in examples])
    found = {}
    for name, tickets in sets.items():
        seen = vectors.transform([t["text"] for t in tickets])
        said = {field: c.predict(seen) for field, c in fitted.items()}
        guesses = [
            {
                "category": str(said["category"][at]),
                "priority": str(said["priority"][at]),
                "needs_human": said["needs_human"][at] == "True",
                "order_id": _named_order(ticket["text"]),
            }
            for at, ticket in enumerate(tickets)
        ]
        found[name] = score(tickets, guesses)
    return found


def evaluate(gguf: Path, name: str, kept: dict[str, Any] | None, count: int) -> Any:
    """All figures of one model; `kept` stands in for fitting its baseline again."""
    sets = ticket_sets()
    model, said = model_figures(gguf, sets)
    model["held_out_fragments"] = dev_split(gguf, 400)
    baseline = kept or baseline_figures(Composer(1, desk=DESK[name]), count, sets)
    sample = {key: said[key] for key in list(said)[::SAMPLED]}
    return {"model": model, "baseline": baseline, "sample": sample}


def main() -> None:
    """Score and print; without `--gguf`, rewrite `figures.json` and the cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--baseline-examples", type=int, default=20_000)
    parser.add_argument("--keep-baseline", action="store_true", help="as it stands")
    options = parser.parse_args()
    if options.gguf:
        sets = ticket_sets()
        if options.dev:
            sets = {"dev": read_tickets(HERE / "data" / "dev.jsonl")}
        print(json.dumps(model_figures(options.gguf, sets)[0], indent=1))
        return
    record = HERE / "figures.json"
    before = json.loads(record.read_text()) if options.keep_baseline else {}
    figures = {
        name: evaluate(
            PACKAGE / f"{name}.gguf",
            name,
            before.get(name, {}).get("baseline"),
            options.baseline_examples,
        )
        for name in DESK
    }
    record.write_text(json.dumps(figures, indent=1) + "\n")
    for name, found in figures.items():
        rewrite(PACKAGE.parent / "cards" / f"{name}.md", table(found, name))


if __name__ == "__main__":
    main()
