"""Counts over the last seconds, in constant time and space."""

from __future__ import annotations

from typing import Final

__all__ = ["BUCKETS", "Window"]

BUCKETS: Final = 10


class Window:
    """Calls, failures and slow calls of a rolling window, kept in ten buckets.

    The oldest bucket leaves as a whole, so the window covers between nine tenths of
    its length and the whole.
    """

    __slots__ = (
        "_buckets",
        "_ends",
        "_latest",
        "_newest",
        "_width",
        "calls",
        "failures",
        "slow",
    )

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buckets = [[0, 0, 0] for _ in range(BUCKETS)]
        self._newest = -1
        self._ends = 0.0
        self._latest = self._buckets[-1]
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count one call that ended at `now`."""
        if now >= self._ends:
            self.roll(now)
        bucket = self._latest
        bucket[0] += 1
        self.calls += 1
        if failed:
            bucket[1] += 1
            self.failures += 1
        if slow:
            bucket[2] += 1
            self.slow += 1

    def roll(self, now: float) -> None:
        """Let go of the buckets that are too old at `now`."""
        newest = int(now / self._width)
        for index in range(max(self._newest, newest - BUCKETS) + 1, newest + 1):
            bucket = self._buckets[index % BUCKETS]
            self.calls -= bucket[0]
            self.failures -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = (0, 0, 0)
        self._newest = newest
        self._ends = (newest + 1) * self._width
        self._latest = self._buckets[newest % BUCKETS]
