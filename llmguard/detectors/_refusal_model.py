"""A small, transparent classifier of refusals: weights of phrases, added up.

Each of the first sentences gets the sum of the weights of its features; the highest
one decides. The weights come from `llmguard/detectors/recipe`, trained on nothing but
sentences written for it. How it compares with the lexicon: docs/detectors.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self

from ..contract import is_refusal
from ._refusal_text import features, sentences

__all__ = ["LEXICON", "WEIGHTS", "RefusalModel", "place", "shipped"]

WEIGHTS: Final = "refusal_weights.json"
LEXICON: Final = "@lexicon"
"""Feature of the first sentence: the lexicon finds a refusal."""
_FOREIGN: Final = 0.3
"""Share of known words below which a text is not taken for English."""
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalModel:
    """Weights, and how they judge a text.

    Attributes:
        vocabulary: Words that features keep; every other one is a mark in them.
        weights: Log odds that a feature adds.
        bias: Log odds of a sentence without features.
    """

    vocabulary: frozenset[str]
    weights: Mapping[str, float]
    bias: float

    def judge(self, text: str) -> tuple[float, str]:
        """Return the probability of a refusal, and the phrases that speak for it.

        A text with few English words is left to the lexicon, which knows others.
        """
        read = sentences(text)
        words = [word for sentence in read for word in sentence]
        if not words:
            return 0.0, "no words"
        lexical = is_refusal(text)
        known = sum(word in self.vocabulary for word in words) / len(words)
        if lexical and known < _FOREIGN:
            return 1.0, "the lexicon, for a text with few English words"
        rows = self.rows(read, lexical=lexical)
        log_odds, best = max(
            ((self.bias + self._sum(row), row) for row in rows), key=_first
        )
        return 1 / (1 + math.exp(-log_odds)), self._because(best)

    def rows(self, read: list[list[str]], *, lexical: bool) -> list[set[str]]:
        """Return the features of each sentence, its place among them."""
        rows = [
            features(words, self.vocabulary) | {place(i)}
            for i, words in enumerate(read)
        ]
        if lexical:
            rows[0].add(LEXICON)
        return rows

    def _sum(self, row: set[str]) -> float:
        return math.fsum(self.weights.get(feature, 0.0) for feature in row)

    def _because(self, row: set[str]) -> str:
        for_it = [(self.weights.get(feature, 0.0), feature) for feature in row]
        best = sorted(for_it, reverse=True)[:_SHOWN]
        return ", ".join(f"`{feature}` {weight:+.1f}" for weight, feature in best)

    def to_json(self) -> str:
        """Return it as a JSON document with a line for each weight."""
        document = {
            "format": 1,
            "bias": self.bias,
            "vocabulary": " ".join(sorted(self.vocabulary)),
            "weights": dict(sorted(self.weights.items())),
        }
        return json.dumps(document, indent=0, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        document: Any = json.loads(text)
        return cls(
            vocabulary=frozenset(document["vocabulary"].split()),
            weights=document["weights"],
            bias=document["bias"],
        )


def place(index: int) -> str:
    """Return the feature that says which sentence it is."""
    return f"@{index}"


@cache
def shipped() -> RefusalModel:
    """Return the model whose weights come with the package; read once."""
    text = files("llmguard.detectors").joinpath(WEIGHTS).read_text(encoding="utf-8")
    return RefusalModel.from_json(text)


def _first(pair: tuple[float, set[str]]) -> float:
    return pair[0]
