"""The tone of an English text, by the VADER lexicon or a scorer of your own."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from .._check import Check
from ._build import STRINGS, as_text, build, optional, wrong

__all__ = ["sentiment"]

Scorer = Callable[[str], float]


def sentiment(
    field: str = "",
    *,
    minimum: float = -1.0,
    maximum: float = 1.0,
    scorer: Scorer | None = None,
) -> Check:
    """Demand a tone between bounds.

    Without a `scorer` this is VADER's compound score (Hutto and Gilbert, ICWSM 2014):
    -1 is the most negative, 1 the most positive, within 0.05 of 0 is neutral. It knows
    English only and counts words; it does not understand irony.

    Args:
        field: Where the text is; empty for the whole value.
        minimum: The least score that is allowed.
        maximum: The highest score that is allowed.
        scorer: Another scale: a function of the text.

    Raises:
        ConfigError: The bounds exclude all, or vaderSentiment is not installed.
    """
    if not minimum <= maximum:
        wrong("sentiment", f"no score is at least {minimum} and at most {maximum}")
    score = scorer if scorer is not None else _vader()

    def in_tone(value: object) -> str | bool:
        found = score(as_text(value))
        if minimum <= found <= maximum:
            return True
        side = "more positive" if found < minimum else "more negative"
        return (
            f"must be {side} in tone: its score is {found:.2f}, and {minimum:g} to "
            f"{maximum:g} is allowed"
        )

    options = {"minimum": minimum, "maximum": maximum, "scorer": scorer}
    return build("sentiment", in_tone, field=field, options=options, types=STRINGS)


def _vader() -> Scorer:
    try:
        module = importlib.import_module("vaderSentiment.vaderSentiment")
    except ImportError:
        optional("sentiment", "vaderSentiment", "vaderSentiment", "sentiment")
    analyzer = module.SentimentIntensityAnalyzer()

    def compound(text: str) -> float:
        return float(analyzer.polarity_scores(text)["compound"])

    return compound
