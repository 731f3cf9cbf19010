"""The style of a text as 34 numbers: 25 things that are there or not, 9 measures.

Nothing here knows what a text means. On real pairs of model versions these numbers see
a change of version long before embeddings of meaning do, which mostly repeat the topic
of the prompt.
"""

from __future__ import annotations

import math
import re
from typing import Final

from ...contract import is_refusal

__all__ = ["MARKS", "MEASURES", "READ", "STYLE", "Style", "read_style"]

READ: Final = 4_000
"""Characters that are read of a text, so that a long one costs no more."""

STYLE: Final = "style/1"
"""Version of everything below; baselines are bound to it."""

_I: Final = re.IGNORECASE
_M: Final = re.MULTILINE
_PATTERNS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("code fence", re.compile(r"^[ \t]*```", _M)),
    ("numbered list", re.compile(r"^[ \t]*\d{1,3}[.)] \S", _M)),
    ("bulleted list", re.compile(r"^[ \t]*[-*+\u2022] \S", _M)),
    ("heading", re.compile(r"^#{1,6} \S", _M)),
    ("bold", re.compile(r"\*\*\S")),
    ("table", re.compile(r"^[ \t]*\|.*\|", _M)),
    ("link", re.compile(r"https?://")),
    ("paragraphs", re.compile(r"\n[ \t]*\n")),
    (
        "eager opening",
        re.compile(
            r"(?:sure|certainly|of course|absolutely|here(?:'s|\u2019s| is| are))\b", _I
        ),
    ),
    ("speaks as an AI", re.compile(r"\bas an (?:ai|language model)\b", _I)),
    ("apology", re.compile(r"\b(?:sorry|apologi[sz]e|apologies|unfortunately)\b", _I)),
    (
        "closing offer",
        re.compile(r"\b(?:let me know|feel free|hope (?:this|that|it) helps)\b", _I),
    ),
    (
        "caveat",
        re.compile(
            r"\bit(?:'s|\u2019s| is) (?:also )?"
            r"(?:important|essential|crucial|worth|necessary)\b",
            _I,
        ),
    ),
    ("contrast", re.compile(r"\b(?:however|although|while|despite)\b", _I)),
    (
        "connective",
        re.compile(r"\b(?:additionally|furthermore|moreover|firstly|lastly)\b", _I),
    ),
    ("conclusion", re.compile(r"^(?:in conclusion|overall|in summary|in short)\b", _I)),
    ("exclamation", re.compile(r"!")),
    ("question", re.compile(r"\?")),
    ("first person", re.compile(r"\b(?:I|my|me)\b")),
    ("second person", re.compile(r"\byou", _I)),
    ("contraction", re.compile(r"\w['\u2019](?:s|t|re|ll|ve|d|m)\b")),
    ("quotation", re.compile(r"[\"\u201c\u201d]")),
    ("bracket", re.compile(r"\(")),
)
_CONCLUSION: Final = [name for name, _ in _PATTERNS].index("conclusion")
_OPENING: Final = [name for name, _ in _PATTERNS].index("eager opening")

MARKS: Final = (*(name for name, _ in _PATTERNS), "refusal", "unfinished")
"""Names of what is there or not, in order."""
MEASURES: Final = (
    "length",
    "sentence length",
    "word length",
    "variety of words",
    "commas",
    "line breaks",
    "digits",
    "capitals",
    "list items",
)
"""Names of the measures, in order."""

Style = tuple[tuple[bool, ...], tuple[float, ...]]
"""Whether each of `MARKS` is there, and the value of each of `MEASURES`."""

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_ENDS: Final = re.compile(r"[.!?]+(?:\s|$)|\n+")
_ITEM: Final = re.compile(r"^[ \t]*(?:[-*+\u2022]|\d{1,3}[.)]) \S", _M)
_CAPITAL: Final = re.compile(r"[A-Z]")
_DIGIT: Final = re.compile(r"\d")
_CLOSED: Final = frozenset(".!?\"')]}`*:\u2019\u201d")
_SAMPLE: Final = 120
"""Words whose variety is measured, so that it does not depend on the length."""


def read_style(text: str) -> Style:
    """Return the marks and measures of a text; its first 4,000 characters are read."""
    read = text[:READ]
    return _marks(read, whole=len(text) <= READ), _measures(read, len(text))


def _marks(read: str, *, whole: bool) -> tuple[bool, ...]:
    bare = read.strip()
    last = bare.rfind("\n") + 1
    found = [pattern.search(read) is not None for _, pattern in _PATTERNS]
    found[_OPENING] = _PATTERNS[_OPENING][1].match(bare) is not None
    found[_CONCLUSION] = _PATTERNS[_CONCLUSION][1].match(bare, last) is not None or (
        _PATTERNS[_CONCLUSION][1].match(bare[last:]) is not None
    )
    unfinished = whole and bool(bare) and bare[-1] not in _CLOSED
    return (*found, is_refusal(read), unfinished)


def _measures(read: str, chars: int) -> tuple[float, ...]:
    words = _WORD.findall(read)
    n = len(words)
    size = max(len(read), 1)
    sentences = max(sum(1 for _ in _ENDS.finditer(read)), 1)
    lines = read.count("\n") + 1
    head = [word.lower() for word in words[:_SAMPLE]]
    return (
        math.log1p(chars),
        math.log1p(n / sentences),
        sum(map(len, words)) / n if n else 0.0,
        len(set(head)) / math.sqrt(len(head)) if head else 0.0,
        math.sqrt(read.count(",") / max(n, 1)),
        math.sqrt(read.count("\n") / size),
        math.sqrt(len(_DIGIT.findall(read)) / size),
        math.sqrt(len(_CAPITAL.findall(read)) / size),
        math.sqrt(len(_ITEM.findall(read)) / lines),
    )
