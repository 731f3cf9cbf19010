"""Finds five-word sequences that the fragments share with the apart tickets.

`python overlap.py` lists them and exits 1 when there are any, so that no ticket of the
test set or the demo is, or nearly is, in the training corpus.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from fragments import DATA, expand, lines, load_intents, read

PACKAGE = Path(__file__).parent.parent / "llmguard_models" / "data"
APART = (
    DATA / "test.jsonl",
    DATA / "dev.jsonl",
    DATA / "slice_legal.jsonl",
    PACKAGE / "demo_tickets.jsonl",
)
WORDS = 5
# Everyday phrases that tell nothing about a label and cannot be written round.
STOCK = {
    "could you send me the",
    "i want my money back",
    "id like to return the",
    "id like to talk to",
    "like to talk to a",
    "talk to a person about",
    "the end of the month",
    "time do you close on",
    "this is the second time",
    "to talk to a person",
    "what time do you close",
}
DRAWS = 10  # expansions of each fragment that are looked at

__all__ = ["APART", "grams", "shared"]


def grams(text: str) -> set[tuple[str, ...]]:
    """All sequences of `WORDS` words in `text`, lower case, without punctuation."""
    words = re.findall(r"[^\W_]+", text.lower().replace("'", "").replace("\u2019", ""))
    return {tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)}


def _fragments() -> Iterator[str]:
    rng, slots = random.Random(5), read("slots")
    raw = [f.text for intent in load_intents() for f in intent.fragments]
    blocks = [*read("shared").values(), *read("desk_legal")["desk_modifiers"].values()]
    raw += [line for block in blocks for line in lines(block)]
    for text in raw:
        for _ in range(DRAWS):
            yield expand(text, rng, slots)


def shared(apart: Iterable[Path]) -> list[tuple[str, str, str]]:
    """(ticket id, five words, fragment) of every sequence found on both sides."""
    seen: dict[tuple[str, ...], str] = {}
    for text in _fragments():
        seen.update(dict.fromkeys(grams(text), text))
    found = []
    for path in apart:
        for row in path.read_text("utf-8").splitlines():
            ticket = json.loads(row)
            both = sorted(grams(ticket["text"]) & seen.keys())
            found += [
                (ticket["id"], " ".join(gram), seen[gram])
                for gram in both
                if " ".join(gram) not in STOCK
            ]
    return found


if __name__ == "__main__":
    hits = shared(APART)
    for ticket, words, fragment in hits:
        print(f"{ticket}: {words!r} also in {fragment!r}")
    sys.exit(1 if hits else 0)
