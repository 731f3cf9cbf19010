"""How a text says it: script, language, form, length, sentiment, tone."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

from ..errors import ConfigError

__all__ = ["REGISTERS", "defined_names", "is_clarification", "script", "trait"]

REGISTERS: Final = ("markdown", "fence", "length", "sentiment", "tone")
"""Traits of the fifth rung; the first three cost microseconds and are the default."""

_SAMPLE: Final = 400
_ASKS: Final = re.compile(
    r"\b(?:could|can|would|will) you (?:please |kindly )?(?:clarify|provide|specify"
    r"|confirm|tell|share|give|explain|elaborate|let|be more|send|paste|include)"
    r"|\b(?:please|kindly) (?:clarify|provide|specify|confirm|share|tell me"
    r"|let me know)"
    r"|\b(?:what|which|how|where|when|who)\b[^.?!]{0,80}"
    r"\b(?:do you|are you|did you|would you|should i|you (?:mean|want|need|like)"
    r"|is your|are your)\b[^.?!]*\?"
    r"|\bdo you (?:mean|want|have|need)\b[^.?!]*\?"
    r"|\bi(?:'ll| will)? need (?:some |a bit )?more (?:information|details|context)\b",
    re.IGNORECASE,
)
_LONGEST: Final = 600
_END: Final = 250
_CODE: Final = re.compile(r"```[^\n]*\n(.*?)(?:```|\Z)", re.DOTALL)
_MARKS: Final = re.compile(r"\*\*|^#{1,6} ", re.MULTILINE)


def is_clarification(text: str) -> bool:
    """Tell whether a text asks back instead of answering, by its words; English.

    It must be short (600 characters, code aside) and ask for something in its last 250:
    a long answer that closes with an offer of more is an answer.
    """
    bare = _CODE.sub("", text).strip()
    if not bare or len(bare) > _LONGEST:
        return False
    end = bare[-_END:]
    if "?" not in end and "lease" not in end and "need" not in end:
        return False
    return _ASKS.search(end) is not None


def script(text: str) -> str:
    """Return the script that most letters of a text are in, such as `LATIN`."""
    head = text[:_SAMPLE]
    if head.isascii():
        return "LATIN" if any(map(str.isalpha, head)) else ""
    names = Counter(_script_of(c) for c in head if c.isalpha())
    return names.most_common(1)[0][0] if names else ""


@cache
def _script_of(letter: str) -> str:
    name = unicodedata.name(letter, "").partition(" ")[0]
    return "CJK" if name in {"CJK", "HIRAGANA", "KATAKANA"} else name


def trait(name: str) -> Callable[[str], str]:
    """Return the function that names a trait of a text.

    Raises:
        ConfigError: No such trait, or what it needs is not installed.
    """
    if name == "markdown":
        return _markdown
    if name == "fence":
        return _fence
    if name in {"sentiment", "tone", "language"}:
        return _detector(name)
    raise ConfigError(
        f"the register has no trait {name!r}; its traits are {', '.join(REGISTERS)}"
    )


@cache
def _detector(name: str) -> Callable[[str], str]:
    from .. import detectors

    made: dict[str, Callable[[], detectors.Detector]] = {
        "sentiment": detectors.sentiment,
        "tone": detectors.tone,
        "language": detectors.language,
    }
    detect = made[name]()
    detect("Ready.")  # a missing package is said before the first comparison
    return lambda text: detect(text).label


def _markdown(text: str) -> str:
    """Bold type or a heading: what shows as marks where nobody renders Markdown."""
    return "markdown" if _MARKS.search(text) else "plain"


def _fence(text: str) -> str:
    return "fence" if "```" in text else "no fence"


def code_of(text: str) -> str:
    """Return the first fenced block of a text; all of it when nothing is fenced."""
    found = _CODE.search(text)
    return found[1] if found else text


def defined_names(source: str) -> tuple[str, ...] | None:
    """Return what Python source defines at its top level; None if it does not parse.

    It is parsed, never run.
    """
    import ast
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in a model's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return tuple(sorted(node.name for node in tree.body if isinstance(node, kinds)))
