"""What differs between two texts, word by word, for the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

__all__ = ["Piece", "pieces"]

_WORDS: Final = re.compile(r"\s+|\w+|[^\w\s]")
_MOST: Final = 800
"""Words beyond which only the common start and end are told: the rest takes seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that both sides have, or that only this one has."""

    text: str
    changed: bool


def pieces(a: str, b: str) -> tuple[list[Piece], list[Piece]]:
    """Return both texts in pieces; those that are not in the other are marked."""
    left, right = _WORDS.findall(a), _WORDS.findall(b)
    start = _common(left, right)
    end = _common(left[start:][::-1], right[start:][::-1])
    inner = left[start : len(left) - end], right[start : len(right) - end]
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    for side in sides:
        _put(side, left[:start], changed=False)
    if max(map(len, inner)) > _MOST:
        for side, words in zip(sides, inner, strict=True):
            _put(side, words, changed=True)
    else:
        _inside(inner, sides)
    for side in sides:
        _put(side, left[len(left) - end :], changed=False)
    return sides


def _common(a: list[str], b: list[str]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def _inside(
    inner: tuple[list[str], list[str]], sides: tuple[list[Piece], list[Piece]]
) -> None:
    a, b = inner
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    for what, i, j, k, m in matcher.get_opcodes():
        same = what == "equal"
        _put(sides[0], a[i:j], changed=not same)
        _put(sides[1], b[k:m], changed=not same)


def _put(side: list[Piece], words: list[str], *, changed: bool) -> None:
    if words:
        side.append(Piece("".join(words), changed))
