"""Objects with locks survive `os.fork`: the child gets fresh ones.

Another thread may hold a lock at the moment of a fork; it does not exist in the child,
where the lock would never be released. That holds for the lock of a module, too, which
a thread is importing: a fork waits for it, since much here is imported when first used.
"""

from __future__ import annotations

import os
import sys
import time
from types import FrameType, ModuleType
from typing import Final, Protocol
from weakref import WeakSet

__all__ = ["Renewable", "importing", "renew_after_fork"]

_PATIENCE: Final = 5.0
"""Seconds that a fork waits for imports of other threads."""
_LOOK_AGAIN: Final = 0.002


class Renewable(Protocol):
    """Something that a fork could catch half-way."""

    def renew(self) -> None:
        """Start again in the child, with fresh locks and nobody inside."""
        ...


_things: WeakSet[Renewable] = WeakSet()


def renew_after_fork(thing: Renewable) -> None:
    """Have `thing.renew()` called in every forked child while `thing` lives."""
    _things.add(thing)


def importing() -> bool:
    """Tell whether a module is being imported, by whichever thread."""
    return any(_unfinished(module) for module in list(sys.modules.values()))


def _unfinished(module: ModuleType | None) -> bool:
    # The mark by which Python's own import tells; without it nothing is waited for.
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _imports_itself(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _await_imports() -> None:
    """Before a fork, let other threads' imports end; but never wait for one's own."""
    if not importing():
        return
    import inspect  # heavy, and such forks are rare

    if _imports_itself(inspect.currentframe()):
        return
    end = time.monotonic() + _PATIENCE
    while importing() and time.monotonic() < end:
        time.sleep(_LOOK_AGAIN)


def _renew_all() -> None:
    for thing in list(_things):
        thing.renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(before=_await_imports, after_in_child=_renew_all)
