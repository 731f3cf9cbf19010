"""A text in parts: what is prose of it, its sentences and its words."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["READ", "prose", "split_sentences", "split_words"]

READ: Final = 4_000
"""Characters that a detector reads of a text, so that a long one costs no more."""

_CODE: Final = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_LINK: Final = re.compile(r"https?://\S+|\S+@\S+\.\S+")
_MARKS: Final = re.compile(r"^[ \t]*(?:#{1,6} |[-*+] |\d+[.)] |>+ ?|\|)", re.MULTILINE)
_END: Final = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


def prose(text: str) -> str:
    """Return the first 4,000 characters without code, links and list marks."""
    plain = _LINK.sub(" ", _CODE.sub(" ", text[:READ]))
    return _MARKS.sub("", plain)


def split_sentences(text: str) -> list[str]:
    """Return the sentences and lines of a text that hold a word."""
    return [part for part in _END.split(text) if _WORD.search(part)]


def split_words(text: str) -> list[str]:
    """Return the words of a text, apostrophes inside them included."""
    return _WORD.findall(text)
