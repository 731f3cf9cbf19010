"""One pool per model and options in a process, shared by pins; none after a fork."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

from ._pool import Pool

__all__ = ["acquire", "close_all", "release"]


class _Registry:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Hold nothing."""
        self.pools: dict[str, Pool] = {}
        self.owners: dict[str, set[int]] = {}
        self.lock = threading.Lock()

    def forget(self) -> None:
        """Start afresh in a forked child: its parent's workers are not its own."""
        for pool in self.pools.values():
            pool.forget()
        self.reset()


_registry = _Registry()


def acquire(key: str, owner: int, make: Callable[[], Pool]) -> Pool:
    """Return the pool of `key`, made when this process has none.

    Args:
        key: The model and everything that decides how it is loaded.
        owner: Id of the provider that uses it.
        make: Makes the pool.
    """
    if owner in _registry.owners.get(key, ()):
        # Without the lock, which a crowd of threads would queue for at each call.
        pool = _registry.pools.get(key)
        if pool is not None:
            return pool
    with _registry.lock:
        if key not in _registry.pools:
            _registry.pools[key] = make()
            _registry.owners[key] = set()
        _registry.owners[key].add(owner)
        return _registry.pools[key]


def release(key: str, owner: int) -> None:
    """Give a pool up; it is closed when the last owner does."""
    with _registry.lock:
        owners = _registry.owners.get(key, set())
        owners.discard(owner)
        unused = _registry.pools.pop(key, None) if not owners else None
        if unused is not None:
            del _registry.owners[key]
    if unused is not None:
        unused.close()


def close_all() -> None:
    """End every worker of this process; done by itself at exit."""
    with _registry.lock:
        pools = list(_registry.pools.values())
        _registry.pools.clear()
        _registry.owners.clear()
    for pool in pools:
        pool.close()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_registry.forget)
