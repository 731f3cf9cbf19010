"""Which language a text is in, by its script and its most common words.

The detector is a heuristic of our own: the script decides for languages that have one
to themselves, and the share of each language's commonest words decides among the
others. It needs a sentence or two and knows the languages of `_words.py`; a text that
is too short, or of no known language, is undecided, and undecided texts pass. For more
languages or short texts, give `detector="py3langid"` or a function.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Final

from .._check import Check
from .._show import oxford
from ._build import STRINGS, as_text, build, optional, wrong

__all__ = ["detect_language", "language"]

Detector = Callable[[str], str | None]

_WORD: Final = r"[^\W\d_]+(?:'[^\W\d_]+)?"
_LEAST_HITS: Final = 2
_LEAST_SHARE: Final = 0.12
"""Below this share of common words the text is a list, code, or another language."""
_MAX_TEXT: Final = 5000


def language(
    *codes: str, field: str = "", detector: Detector | str | None = None
) -> Check:
    """Demand a text in one of the given languages; undecided texts pass.

    Args:
        codes: ISO 639-1 codes, such as `en`, `de`.
        field: Where the text is; empty for the whole value.
        detector: None for the built-in heuristic, `py3langid` for that package (97
            languages), or a function that returns a code, or None when undecided.

    Raises:
        ConfigError: No code, one that the built-in heuristic does not know, or the
            package is not installed.
    """
    from ._words import SCRIPTS, WORDS  # large, and few programs need them

    known = set(WORDS) | {code for code, _, _ in SCRIPTS}
    if not codes:
        wrong("language", "give the codes that are allowed, such as 'en'")
    if detector is None and (unknown := sorted(set(codes) - known)):
        wrong(
            "language",
            f"the built-in detector does not know {', '.join(unknown)}; it knows "
            f"{', '.join(sorted(known))}. Give `detector='py3langid'` or a function",
        )
    detect = _detector(detector)

    def in_language(value: object) -> str | bool:
        found = detect(as_text(value))
        return (
            found is None
            or found in codes
            or (f"must be written in {oxford(list(codes))}; the answer is in {found}")
        )

    options = {"codes": codes, "detector": detector or "words/1"}
    return build("language", in_language, field=field, options=options, types=STRINGS)


def _detector(given: Detector | str | None) -> Detector:
    if given is None:
        return detect_language
    if callable(given):
        return given
    if given != "py3langid":
        wrong(
            "language", f"`detector` is {given!r}; it must be 'py3langid' or a function"
        )
    try:
        classify: Callable[[str], tuple[str, float]] = importlib.import_module(
            "py3langid"
        ).classify
    except ImportError:
        optional("language", "py3langid", "py3langid", "")
    return lambda text: classify(text)[0]


def detect_language(text: str) -> str | None:
    """Guess the language of a text; None when undecided.

    Args:
        text: Only its first 5000 characters are read.

    Returns:
        An ISO 639-1 code.
    """
    from ._words import WORDS

    text = unicodedata.normalize("NFC", text[:_MAX_TEXT]).casefold()
    by_script = _by_script(text)
    if by_script is not None:
        return by_script
    words = re.findall(_WORD, text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    counts = Counter(words)
    scores = sorted(
        (
            (sum(counts[word] for word in common), code)
            for code, common in WORDS.items()
        ),
        reverse=True,
    )
    (best, code), (second, _) = scores[:2]
    if best < _LEAST_HITS or best < _LEAST_SHARE * len(words) or best == second:
        return None
    return code


def _by_script(text: str) -> str | None:
    from ._words import SCRIPTS

    letters = sum(character.isalpha() for character in text)
    for code, share, script in SCRIPTS:
        if letters and len(script.findall(text)) >= share * letters:
            return code
    return None
