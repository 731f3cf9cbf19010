"""The language of a text, by py3langid's naive Bayes model of 140 languages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final, TypeAlias

from ..errors import ConfigError
from ._detector import Detection, Detector
from ._parts import prose

__all__ = ["language"]

_Classify: TypeAlias = Callable[[str], tuple[str, float]]

_UNKNOWN: Final = "und"
_LETTERS: Final = 12
_SURE: Final = 0.5


def language() -> Detector:
    """Return a detector of the language a text is written in: `en`, `de`, `zh`.

    Labels are ISO 639-1 codes; the score is the model's probability. `und` says that
    it cannot be told: fewer than 12 letters outside of code and links, or a
    probability below one half. `language().other_than("en", "und")` finds answers in
    another language than English.

    Raises:
        ConfigError: py3langid is not installed.
    """
    _classifier()
    return Detector(
        id=f"language-py3langid-{version('py3langid')}/1",
        detect=_detect,
        labels=(),
        positive=frozenset(),
    )


@cache
def _classifier() -> _Classify:
    """Load an identifier of our own: the package's global one can be reconfigured."""
    try:
        module: Any = import_module("py3langid.langid")
        make = module.LanguageIdentifier.from_model_file
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            "language detection needs py3langid 0.4 or later; run "
            "`pip install 'llmguard-toolkit[language]'`"
        ) from error
    classify: _Classify = make(module.MODEL_FILE, norm_probs=True).classify
    return classify


def _detect(text: str) -> Detection:
    plain = " ".join(prose(text).split())
    letters = sum(character.isalpha() for character in plain)
    if letters < _LETTERS and plain.isascii():
        return Detection(label=_UNKNOWN, score=0.0, why=f"{letters} letters")
    code, score = _classifier()(plain)
    if score < _SURE:
        return Detection(label=_UNKNOWN, score=score, why=f"perhaps {code}")
    return Detection(label=code, score=score)
