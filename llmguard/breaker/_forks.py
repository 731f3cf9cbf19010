"""Breakers survive `os.fork`: the child gets free locks and a consistent state."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["ForkSafe", "track"]


class ForkSafe(Protocol):
    """Something with a lock that a fork could catch while it is held."""

    def hold(self) -> None:
        """Take the lock, so that nobody is half-way through a change."""
        ...

    def let_go(self) -> None:
        """Release it again in the parent."""
        ...

    def restart(self) -> None:
        """Replace it in the child, whose other threads are gone."""
        ...


_outer: WeakSet[ForkSafe] = WeakSet()
"""Those under whose lock others' locks are taken: a fork takes theirs first, too."""
_tracked: WeakSet[ForkSafe] = WeakSet()
_tracking = threading.Lock()
_held: list[ForkSafe] = []


def track(thing: ForkSafe, *, outer: bool = False) -> None:
    """Take part in every fork while `thing` lives. Call it without holding its lock.

    Args:
        thing: What takes part.
        outer: It takes locks of others that take part while it holds its own.
    """
    with _tracking:
        (_outer if outer else _tracked).add(thing)


def _before() -> None:
    _tracking.acquire()
    for thing in (*_outer, *_tracked):
        thing.hold()
        _held.append(thing)


def _in_parent() -> None:
    while _held:
        _held.pop().let_go()
    _tracking.release()


def _in_child() -> None:
    while _held:
        _held.pop().restart()
    _tracking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(
        before=_before, after_in_parent=_in_parent, after_in_child=_in_child
    )
