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

    __slots__ = ("_buckets", "_newest", "_width", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buckets = [[0, 0, 0] for _ in range(BUCKETS)]
        self._newest = 0
        self.calls = self.failures = self.slow = 0

    def add(self, now: float, *, failed: bool, slow: bool) -> None:
        """Count one call that ended at `now`."""
        self.roll(now)
        bucket = self._buckets[self._newest % BUCKETS]
        bucket[0] += 1
        bucket[1] += failed
        bucket[2] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def roll(self, now: float) -> None:
        """Let go of the buckets that are too old at `now`."""
        newest = int(now / self._width)
        if newest <= self._newest:
            return
        for index in range(max(self._newest, newest - BUCKETS) + 1, newest + 1):
            bucket = self._buckets[index % BUCKETS]
            self.calls -= bucket[0]
            self.failures -= bucket[1]
            self.slow -= bucket[2]
            bucket[:] = (0, 0, 0)
        self._newest = newest
