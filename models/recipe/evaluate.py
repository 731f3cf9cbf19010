"""Scores a GGUF on the apart tickets beside TF-IDF + logistic regression.

`python evaluate.py` rewrites `figures.json` and the card from the committed file: the
apart test set (`data/test.jsonl`), the demo tickets, and the baseline trained on the
same corpus. `--gguf FILE --dev` scores another file on the development tickets and
writes nothing.
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
from scoring import answers, greedy, load, read_tickets, score
from text import PROMPT

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "llmguard_models" / "data"
_ORDER = re.compile(
    r"#\s?(\d{4,6})\b|\b([A-Z]{2,3}-(?:\d{4}-)?\d{4,6})\b|\border (\d{4,6})\b",
    re.IGNORECASE,
)


def model_figures(gguf: Path, sets: dict[str, Path]) -> dict[str, Any]:
    """Scores of one GGUF, greedy and unconstrained, on every named set."""
    ask = partial(greedy, load(gguf))
    found = {}
    for name, path in sets.items():
        tickets = read_tickets(path)
        found[name] = score(tickets, answers(ask, tickets, PROMPT))
    return found


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


def baseline_figures(count: int, seed: int, sets: dict[str, Path]) -> dict[str, Any]:
    """TF-IDF + one logistic regression per field, a pattern for the order id."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    examples = [e for e in islice(Composer(seed), count) if not e.only_category]
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = vectors.fit_transform([e.text for e in examples])
    fitted = {}
    for field in ("category", "priority", "needs_human"):
        classifier = LogisticRegression(C=10.0, max_iter=300)
        fitted[field] = classifier.fit(x, [str(label(e)[field]) for e in examples])
    found = {}
    for name, path in sets.items():
        tickets = read_tickets(path)
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


def main() -> None:
    """Score and print; without `--gguf`, rewrite `figures.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--baseline-examples", type=int, default=30_000)
    parser.add_argument("--keep-baseline", action="store_true", help="as it stands")
    options = parser.parse_args()
    gguf = options.gguf or PACKAGE / "triage-1.0.gguf"
    sets = {
        "test": HERE / "data" / "test.jsonl",
        "demo": PACKAGE / "demo_tickets.jsonl",
    }
    if options.dev:
        sets = {"dev": HERE / "data" / "dev.jsonl"}
    figures = {"model": model_figures(gguf, sets)}
    figures["model"]["held_out_fragments"] = dev_split(gguf, 400)
    if options.keep_baseline:
        kept = json.loads((HERE / "figures.json").read_text())
        figures["baseline"] = kept["baseline"]
    else:
        figures["baseline"] = baseline_figures(options.baseline_examples, 1, sets)
    text = json.dumps(figures, indent=1) + "\n"
    if options.gguf is None and not options.dev:
        (HERE / "figures.json").write_text(text)
        rewrite(
            PACKAGE.parent / "cards" / "triage-1.0.md", table(figures, "triage-1.0")
        )
    for who, by_set in figures.items():
        for name, fields in by_set.items():
            shares = {field: entry["share"] for field, entry in fields.items()}
            print(who, name, shares)


if __name__ == "__main__":
    main()
