"""Bounds how many calls are inside a tier at once; a full tier refuses at once."""

from __future__ import annotations

import threading

__all__ = ["Bulkhead"]


class Bulkhead:
    """A counter that never waits: nobody queues behind a full tier."""

    __slots__ = ("_limit", "_lock", "_taken")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        """Calls inside now."""
        return self._taken

    def enter(self) -> bool:
        """Take a place; False when all are taken."""
        with self._lock:
            if self._taken >= self._limit:
                return False
            self._taken += 1
            return True

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self._taken -= 1
