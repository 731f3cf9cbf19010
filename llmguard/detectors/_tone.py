"""Tone and register of a text, from counted words and marks; no model.

Every dimension is a net count of markers per 100 words, squeezed into (-1, 1): what
it says can be checked by reading the text. English only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal, get_args

from ..errors import ConfigError
from ._detector import Detection, Detector
from ._parts import prose, split_sentences, split_words
from ._tone_words import WORDS

__all__ = ["Dimension", "ToneFeatures", "read_tone", "tone"]

Dimension = Literal["civility", "formality", "politeness", "anger", "certainty"]
"""What `tone` can score."""

_FLOOR: Final = 40
"""Words that a shorter text counts as: one marker is no tone yet."""
_SCALE: Final = 4.0
"""Net markers per 100 words that score tanh(1) = 0.76."""
_CLEAR: Final = 0.3
"""Score from which a label is given, either way."""
_LONG_WORD: Final = 7
_LONG_SHARE: Final = 0.2
_SHOUT: Final = 4
_EXCLAMATION: Final = re.compile(r"[!?]{2,}")
_EMOJI: Final = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]|(?<!\\w)[:;]-?[)(DP]")
_LABELS: Final[Mapping[Dimension, tuple[str, str, str]]] = {
    "civility": ("uncivil", "neutral", "civil"),
    "formality": ("casual", "neutral", "formal"),
    "politeness": ("rude", "neutral", "polite"),
    "anger": ("calm", "calm", "angry"),
    "certainty": ("hedging", "neutral", "certain"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToneFeatures:
    """What was counted, and the scores made of it.

    Attributes:
        words: Words read.
        counts: Markers found, by list (`polite`, `rude`, `angry`, `formal`, `casual`,
            `sorry`, `unsure`, `sure`) and mark (`contractions`, `exclamations`,
            `shouting`, `emoji`, `long_words`).
        found: The words that were found, for people.
        civility: Politeness and apology against rudeness and anger, in (-1, 1).
        formality: Formal against casual, in (-1, 1).
        politeness: Polite against rude, in (-1, 1).
        anger: In [0, 1).
        certainty: Sure against unsure, in (-1, 1).
    """

    words: int
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    found: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict[str, tuple[str, ...]]
    )
    civility: float = 0.0
    formality: float = 0.0
    politeness: float = 0.0
    anger: float = 0.0
    certainty: float = 0.0


def tone(dimension: Dimension = "civility") -> Detector:
    """Return a detector of one dimension of tone, from -1 to 1; English.

    Labels are given from -0.3 downwards and 0.3 upwards: `civility` uncivil, neutral,
    civil; `formality` casual, neutral, formal; `politeness` rude, neutral, polite;
    `anger` calm, angry (score from 0); `certainty` hedging, neutral, certain. For a
    range of scores, `tone("formality").outside(0, 1)`.

    Args:
        dimension: What to score.

    Raises:
        ConfigError: Another dimension.
    """
    if dimension not in get_args(Dimension):
        raise ConfigError(
            f"`tone({dimension!r})`: the dimensions are "
            f"{', '.join(f'`{each}`' for each in get_args(Dimension))}"
        )
    low, middle, high = _LABELS[dimension]
    return Detector(
        id=f"tone-{dimension}/1",
        detect=_detector(dimension),
        labels=tuple(dict.fromkeys((low, middle, high))),
        positive=frozenset({high if dimension == "anger" else low}),
    )


def _detector(dimension: Dimension) -> Callable[[str], Detection]:
    low, middle, high = _LABELS[dimension]

    def detect(text: str) -> Detection:
        seen = read_tone(text)
        score: float = getattr(seen, dimension)
        label = high if score >= _CLEAR else low if score <= -_CLEAR else middle
        return Detection(label=label, score=score, why=_why(seen))

    return detect


def read_tone(text: str) -> ToneFeatures:
    """Return every count and score of a text's tone; 4,000 characters are read."""
    plain = prose(text).replace("\u2019", "'")
    words = split_words(plain)
    if not words:
        return ToneFeatures(words=0)
    found = _found(words)
    n = {name: len(each) for name, each in found.items()} | _marks(plain, words)

    def score(net: float) -> float:
        return math.tanh(net * 100 / max(len(words), _FLOOR) / _SCALE)

    angry = n["angry"] + n["exclamations"] + n["shouting"]
    long_words = 1 if n["long_words"] > _LONG_SHARE * len(words) else 0
    loose = n["casual"] + n["contractions"] / 2 + n["exclamations"] + n["emoji"]
    return ToneFeatures(
        words=len(words),
        counts=n,
        found=found,
        civility=score(n["polite"] + n["sorry"] - 2 * n["rude"] - angry),
        formality=score(n["formal"] + long_words - loose),
        politeness=score(n["polite"] - 2 * n["rude"]),
        anger=score(angry),
        certainty=score(n["sure"] - n["unsure"]),
    )


def _found(words: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the runs of words that each list counts, longest first, none twice."""
    folded = [word.casefold() for word in words]
    index = _index()
    free = dict.fromkeys(WORDS, 0)
    found: dict[str, list[str]] = {name: [] for name in WORDS}
    for start, word in enumerate(folded):
        for name, run in index.get(word, ()):
            if start >= free[name] and folded[start : start + len(run)] == run:
                free[name] = start + len(run)
                found[name].append(" ".join(run))
    return {name: tuple(runs) for name, runs in found.items()}


@cache
def _index() -> Mapping[str, list[tuple[str, list[str]]]]:
    """Return the markers by their first word."""
    made: dict[str, list[tuple[str, list[str]]]] = {}
    for name, markers in WORDS.items():
        for run in sorted((split_words(each) for each in markers), key=len)[::-1]:
            made.setdefault(run[0], []).append((name, run))
    return made


def _marks(plain: str, words: list[str]) -> dict[str, int]:
    return {
        "contractions": sum("'" in word for word in words),
        "exclamations": len(_EXCLAMATION.findall(plain)),
        "shouting": sum(map(_shouted, split_sentences(plain))),
        "emoji": len(_EMOJI.findall(plain)),
        "long_words": sum(len(word) > _LONG_WORD for word in words),
    }


def _shouted(sentence: str) -> bool:
    words = [word for word in split_words(sentence) if len(word) > 1]
    return len(words) >= _SHOUT and all(word.isupper() for word in words)


def _why(seen: ToneFeatures) -> str:
    parts = [
        f"{name}: {', '.join(sorted(set(words)))}"
        for name, words in seen.found.items()
        if words
    ]
    marks = ("contractions", "exclamations", "shouting", "emoji")
    parts += [f"{name} {seen.counts[name]}" for name in marks if seen.counts.get(name)]
    return "; ".join(parts)
