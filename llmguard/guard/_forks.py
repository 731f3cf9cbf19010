"""Objects with locks survive `os.fork`: the child gets fresh ones.

Another thread may hold a lock at the moment of a fork; it does not exist in the child,
where the lock would never be released.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Renewable", "renew_after_fork"]


class Renewable(Protocol):
    """Something that a fork could catch half-way."""

    def renew(self) -> None:
        """Start again in the child, with fresh locks and nobody inside."""
        ...


_things: WeakSet[Renewable] = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Have `thing.renew()` called in every forked child while `thing` lives."""
    _things.add(thing)


def _renew_all() -> None:
    for thing in list(_things):
        thing.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_renew_all)
