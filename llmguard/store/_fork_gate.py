"""No thread is inside SQLite when the process forks.

SQLite's library has locks of its own for the whole process. A child that is forked
while another thread holds one would wait for it for ever, at its first statement.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final

__all__ = ["ForkGate"]

_PATIENCE: Final = 5.0
"""Seconds that a fork waits for a thread; a statement takes milliseconds."""


class ForkGate:
    """Held by one thread while it is inside SQLite; a fork waits until it is free."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        # Reentrant, so that a thread which forks within its own statement goes on.
        self._lock = threading.RLock()
        _gates.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def shut(self) -> bool:
        """Wait until nobody is inside and keep it so; False when it takes too long."""
        return self._lock.acquire(timeout=_PATIENCE)

    def open(self) -> None:
        """Let threads in again."""
        self._lock.release()


_gates: weakref.WeakSet[ForkGate] = weakref.WeakSet()
_held: list[ForkGate] = []


def _before() -> None:
    _held.extend(gate for gate in list(_gates) if gate.shut())


def _after() -> None:
    while _held:
        _held.pop().open()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
