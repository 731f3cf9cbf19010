"""Cuts the bytes of a fuzzer into decisions and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Cut"]

Item = TypeVar("Item")


class Cut:
    """Reads forward; what is missing at the end is zero, and text is empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        """Return a number in [0, below), from one byte."""
        byte = self._data[self._at : self._at + 1]
        self._at += 1
        return (byte[0] if byte else 0) % below

    def pick(self, choices: Sequence[Item]) -> Item:
        """Return one of the choices."""
        return choices[self.number(len(choices))]

    def bytes(self, most: int) -> bytes:
        """Return up to `most` bytes; a byte before them says how many."""
        size = self.number(256) * most // 255
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def text(self, most: int = 64) -> str:
        """Return text, half surrogates and all."""
        return self.bytes(most).decode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        """Return everything that is left."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found
