"""The lock as a running process sees it: read again only when the file changed."""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from .. import config
from ..errors import LLMGuardWarning, LockError
from ._lock import Lock
from ._pin import Pin
from ._read import read_lock

__all__ = ["forget", "load_lock", "resolve"]

_Signature: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last look at one file: what it held, or why it could not be used."""

    signature: _Signature
    lock: Lock | None
    error: LockError | None


_seen: Final[dict[str, _Seen]] = {}
_guard: Final = threading.Lock()


def load_lock(path: str | Path | None = None) -> Lock:
    """Return the lock, read again when the file was replaced or changed.

    Args:
        path: The file; None for the configured one (`llmguard.config`).

    Raises:
        LockError: The file is missing, unreadable or does not match its hashes.
    """
    seen = _look(path or config.load().lock)
    if seen.error:
        raise seen.error
    assert seen.lock  # noqa: S101 - narrows the type; one of the two is always set
    return seen.lock


def resolve(route: str, *, lock: Lock | str | Path | None = None) -> Pin:
    """Return the pin that answers for a route now.

    A process that has read a good lock keeps it while the file is missing or broken,
    and warns once: half an edit must not stop a service, nor unpin it.

    Args:
        route: The name that functions use, such as "triage".
        lock: A lock or its path; None for the configured one.

    Raises:
        LockError: No usable lock was ever read, no such route, or a pin that must
            not run.
    """
    if not isinstance(lock, Lock):
        lock = _last_good(lock or config.load().lock)
    return lock.resolve(route)


def forget() -> None:
    """Drop everything that was read; for tests."""
    with _guard:
        _seen.clear()


def _last_good(path: str | Path) -> Lock:
    seen = _look(path)
    if seen.lock is None:
        raise seen.error or LockError(str(path))
    return seen.lock


def _look(file: str | Path) -> _Seen:
    path = os.fspath(file)
    signature = _signature(path)
    seen = _seen.get(path)
    if seen and seen.signature == signature:
        return seen
    with _guard:
        seen = _seen.get(path)
        if not seen or seen.signature != signature:
            _seen[path] = seen = _read(path, signature, seen)
    return seen


def _read(path: str, signature: _Signature, before: _Seen | None) -> _Seen:
    try:
        return _Seen(signature, read_lock(Path(path)), None)
    except LockError as error:
        good = before.lock if before else None
        seen = _Seen(signature, good, error)
        _seen[path] = seen
        if good:
            warnings.warn(
                f"{error} (this process keeps the lock it read before)",
                LLMGuardWarning,
                stacklevel=5,
            )
        return seen


def _signature(path: str) -> _Signature:
    """Tell two states of the file apart without reading it; empty when missing."""
    try:
        info = os.stat(path)  # noqa: PTH116 - follows a swapped link, half the cost
    except OSError:
        return ()
    return (info.st_mtime_ns, info.st_size, info.st_ino, info.st_ctime_ns)
