"""Finding refusals: by the contract's lexicon, or by the small classifier."""

from __future__ import annotations

from typing import Final, Literal

from ..contract import is_refusal
from ..errors import ConfigError
from ._detector import Detection, Detector

__all__ = ["refusal"]

_LABELS: Final = ("refusal", "answer")
_POSITIVE: Final = frozenset({"refusal"})
_EVEN: Final = 0.5


def refusal(method: Literal["lexicon", "model"] = "lexicon") -> Detector:
    """Return a detector of answers that decline the request, in full or in part.

    Both read the first 320 to 400 characters. The lexicon is what contracts use; its
    score is 0 or 1, and it takes about 15 microseconds. The model finds more ways to
    say no and explains itself by phrases; its score is a probability, and it takes
    about 0.3 milliseconds. Neither reads meaning; docs/detectors.md has the figures.

    Args:
        method: `lexicon`, or `model` for the classifier.

    Raises:
        ConfigError: Another method.
    """
    if method == "lexicon":
        return Detector(
            id="refusal-lexicon/1", detect=_lexicon, labels=_LABELS, positive=_POSITIVE
        )
    if method == "model":
        return Detector(
            id="refusal-model/1", detect=_model, labels=_LABELS, positive=_POSITIVE
        )
    raise ConfigError(
        f"`refusal({method!r})`: the methods are `lexicon` and `model`; your own is a "
        "`Detector(id=..., detect=...)`"
    )


def _lexicon(text: str) -> Detection:
    if is_refusal(text):
        return Detection(label="refusal", score=1.0, why="declines by its words")
    return Detection(label="answer", score=0.0)


def _model(text: str) -> Detection:
    from ._refusal_model import shipped

    score, why = shipped().judge(text)
    label = "refusal" if score >= _EVEN else "answer"
    return Detection(label=label, score=score, why=why)
