"""Sentiment by VADER's lexicon and rules, sentence by sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from ..errors import ConfigError
from ._detector import Detection, Detector
from ._parts import prose, split_sentences

__all__ = ["sentiment"]

_Scores: TypeAlias = Callable[[str], Mapping[str, float]]

_NEUTRAL: Final = 0.05
"""Half width of the neutral band, as VADER's authors use it."""
_SHOWN: Final = 60


def sentiment() -> Detector:
    """Return a detector of how positive a text is, from -1 to 1; English.

    The score is the mean over sentences of VADER's compound score (Hutto and Gilbert,
    ICWSM 2014). That of a whole text grows with its length: 38 to 52 % of real
    answers then score above 0.95. Labels are `negative`, `neutral` and `positive`,
    with VADER's limits of -0.05 and 0.05.

    Raises:
        ConfigError: vaderSentiment is not installed.
    """
    _analyzer()
    return Detector(
        id=f"sentiment-vader-{version('vaderSentiment')}/1",
        detect=_detect,
        labels=("negative", "neutral", "positive"),
        positive=frozenset({"negative"}),
    )


@cache
def _analyzer() -> _Scores:
    try:
        module: Any = import_module("vaderSentiment.vaderSentiment")
    except ImportError as error:
        raise ConfigError(
            "sentiment needs vaderSentiment; run "
            "`pip install 'llmguard-toolkit[sentiment]'`"
        ) from error
    scores: _Scores = module.SentimentIntensityAnalyzer().polarity_scores
    return scores


def _detect(text: str) -> Detection:
    parts = split_sentences(prose(text))
    if not parts:
        return Detection(label="neutral", score=0.0, why="no words")
    score_of = _analyzer()
    scores = [score_of(part)["compound"] for part in parts]
    score = math.fsum(scores) / len(scores)
    label = "positive" if score >= _NEUTRAL else "neutral"
    label = "negative" if score <= -_NEUTRAL else label
    far = max(range(len(parts)), key=lambda i: scores[i] * (1 if score >= 0 else -1))
    return Detection(
        label=label, score=score, why=f"{scores[far]:+.2f} for {parts[far][:_SHOWN]!r}"
    )
