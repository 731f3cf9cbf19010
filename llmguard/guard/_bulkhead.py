"""Bounds how many calls are inside a tier at once; a full tier refuses at once."""

from __future__ import annotations

import threading

from ._forks import renew_after_fork

__all__ = ["Bulkhead"]


class Bulkhead:
    """A counter that never waits: nobody queues behind a full tier."""

    __slots__ = ("__weakref__", "_limit", "_lock", "_taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Empty it: after a fork, those inside are in another process."""
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Calls inside now."""
        return self._taken

    def enter(self, *, hung: int = 0) -> bool:
        """Take a place; False when all are taken, `hung` of them by zombies."""
        with self._lock:
            if self._taken + hung >= self._limit:
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self._taken = max(0, self._taken - 1)
