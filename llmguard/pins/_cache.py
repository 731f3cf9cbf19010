"""The lock as a running process sees it: read again only when the file changed."""

from __future__ import annotations

import functools
import inspect
import os
import threading
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, TypeAlias

from .. import config
from ..errors import LLMGuardWarning, LockError
from ._lock import Lock
from ._pin import Pin
from ._read import read_lock

__all__ = ["admit", "forget", "good_lock", "load_lock", "resolve"]

_Signature: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last look at one file: what it holds, why it is unusable, what it held."""

    signature: _Signature
    good: Lock | None
    error: str = ""


_seen: Final[dict[str, _Seen]] = {}
_looked_at: Final[set[str]] = set()
_guard: Final = threading.Lock()
_OURS: Final = (str(Path(__file__).parents[1]) + os.sep, functools.__file__)
"""Where frames lie that a warning is not about: this package, and its cached ones."""


def load_lock(path: str | Path | None = None) -> Lock:
    """Return the lock, read again when the file was replaced or changed.

    Args:
        path: The file; None for the configured one (`llmguard.config`).

    Raises:
        LockError: The file is missing, unreadable or does not match its hashes.
    """
    seen = _look(path or config.load().lock)
    if seen.error or seen.good is None:
        raise LockError(seen.error)
    return seen.good


def resolve(
    route: str, *, lock: Lock | str | Path | None = None, today: date | None = None
) -> Pin:
    """Return the pin that answers for a route now.

    A process that has read a good lock keeps it while the file is missing or broken,
    and warns once: half an edit must not stop a service, nor unpin it. A pin whose
    model shuts down within 90 days is warned about once per process.

    Args:
        route: The name that functions use, such as "triage".
        lock: A lock or its path; None for the configured one.
        today: The date that shutdowns are counted from; None for today in UTC.

    Raises:
        LockError: No usable lock was ever read, no such route, or, in strict mode, a
            model name that no rule knows.
    """
    if not isinstance(lock, Lock):
        lock = good_lock(lock)
    return admit(lock.resolve(route), today=today)


def admit(pin: Pin, *, today: date | None = None) -> Pin:
    """Return a pin that may answer calls; warn once when it will not for long.

    Raises:
        LockError: Strict mode refuses a model name that no rule knows.
    """
    if pin.digest not in _looked_at:
        _look_at(pin, today or datetime.now(UTC).date())
    return pin


def good_lock(file: str | Path | None = None) -> Lock:
    """Return the last good lock that this process read, however it is now.

    Raises:
        LockError: No usable lock was ever read.
    """
    return _last_good(file or config.load().lock)


def forget() -> None:
    """Drop everything that was read and warned about; for tests."""
    with _guard:
        _seen.clear()
        _looked_at.clear()


def _look_at(pin: Pin, today: date) -> None:
    """Do what is done once per pin and process."""
    if pin.version_class == "unknown" and config.load().strict:
        raise LockError(
            f"pin {pin.id!r} of route {pin.route!r}: no naming rule knows model "
            f"{pin.model!r} of provider {pin.provider!r}, and strict mode refuses it; "
            f"pin a known name, or set `LLMGUARD_STRICT=0`"
        )
    with _guard:
        if pin.digest in _looked_at:  # another thread was faster
            return
        _looked_at.add(pin.digest)
    from ._lifecycle import HORIZON, ending

    if message := ending(pin, horizon=HORIZON, today=today):
        warnings.warn(
            f"{message}; add its successor: `llmguard pin add {pin.route} "
            f"--provider {pin.provider} --model MODEL`",
            LLMGuardWarning,
            stacklevel=_level_outside(),
        )


def _level_outside() -> int:
    """Return the `stacklevel` at which the caller's caller is no code of ours."""
    level, frame = 0, inspect.currentframe()
    while frame and frame.f_code.co_filename.startswith(_OURS):
        level, frame = level + 1, frame.f_back
    return max(1, level)


def _last_good(file: str | Path) -> Lock:
    seen = _look(file)
    if seen.good is None:
        raise LockError(seen.error)
    return seen.good


def _look(file: str | Path) -> _Seen:
    path = os.fspath(file)
    seen = _current(path)
    if seen is None:
        with _guard:
            # Another thread may have read it while this one waited.
            seen = _current(path) or _reread(path)
    return seen


def _current(path: str) -> _Seen | None:
    """Return what was read, unless the file changed since."""
    seen = _seen.get(path)
    return seen if seen and seen.signature == _signature(path) else None


def _reread(path: str) -> _Seen:
    before = _seen.get(path)
    signature = _signature(path)
    try:
        seen = _Seen(signature, read_lock(Path(path)))
    except LockError as error:
        seen = _Seen(signature, before.good if before else None, str(error))
    _seen[path] = seen
    if seen.error and seen.good:
        _warn_stale(seen.error)
    return seen


def _warn_stale(error: str) -> None:
    warnings.warn(
        f"{error} (this process keeps the lock it read before)",
        LLMGuardWarning,
        stacklevel=_level_outside(),
    )


def _signature(path: str) -> _Signature:
    """Tell two states of the file apart without reading it; empty when missing."""
    try:
        info = os.stat(path)  # noqa: PTH116 - half the cost of Path.stat, on every call
    except OSError:
        return ()
    return (info.st_mtime_ns, info.st_size, info.st_ino, info.st_ctime_ns)
