"""The training texts: one a line, written for this purpose, a file for each kind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

__all__ = ["PROBES", "REFUSALS", "Text", "lengthened", "read_texts"]

REFUSALS: Final = ("refusals", "partial_refusals")
ANSWERS: Final = (
    "answers",
    "caveats",
    "clarifications",
    "embedded",
    "policy",
    "prose",
    "support",
)
PROBES: Final = ("deflections",)
"""Measured, and not trained on: "is there anything else?" also ends good answers."""
_LONGEST: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One training text.

    Attributes:
        text: What a model might write.
        refusal: Whether it declines, in full or in part.
        kind: The file it comes from.
    """

    text: str
    refusal: bool
    kind: str


def read_texts(kinds: Sequence[str] = (*REFUSALS, *ANSWERS)) -> list[Text]:
    """Return the texts of some kinds, in the order of the files' lines."""
    folder = files("llmguard.detectors.recipe") / "texts"
    return [
        Text(text=line, refusal=kind in REFUSALS, kind=kind)
        for kind in sorted(kinds)
        for line in (folder / f"{kind}.txt").read_text(encoding="utf-8").splitlines()
    ]


def lengthened(texts: Sequence[Text], rng: random.Random) -> list[Text]:
    """Return as many texts again, made longer: real answers have many sentences.

    Answers get more of their own kind behind them; refusals get an answer behind
    them, as in "I can't do that. Here is what I can do".
    """
    kinds: dict[str, list[Text]] = {}
    for each in texts:
        kinds.setdefault(each.kind, []).append(each)
    answers = [each for each in texts if not each.refusal]
    made: list[Text] = []
    for each in texts:
        pool = answers if each.refusal else kinds[each.kind]
        more = 1 if each.refusal else rng.randrange(1, _LONGEST)
        tail = [rng.choice(pool).text for _ in range(more)]
        made.append(
            Text(
                text=" ".join([each.text, *tail]), refusal=each.refusal, kind=each.kind
            )
        )
    return made
