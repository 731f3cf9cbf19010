"""Which inputs have already given their evidence."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["SeenInputs"]


class SeenInputs:
    """A bounded memory of inputs: each counts once per `seconds`.

    One bad input that a caller retries all day is one piece of evidence, not a
    thousand. It counts again after `seconds`, so that a function with few distinct
    inputs is still watched. Repeats do not prolong the time.
    """

    __slots__ = ("_at", "_seconds", "_size")

    def __init__(self, *, size: int, seconds: float) -> None:
        self._size = size
        self._seconds = seconds
        self._at: OrderedDict[int, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def add(self, fingerprint: bytes | str, now: float) -> bool:
        """Remember an input; return True when it is new and so counts."""
        at = self._at
        while at and now - next(iter(at.values())) >= self._seconds:
            at.popitem(last=False)
        # 64 bits are enough for thousands of inputs, and a prompt may be long.
        key = hash(fingerprint)
        if key in at:
            return False
        at[key] = now
        if len(at) > self._size:
            at.popitem(last=False)
        return True
