"""An advisory lock between processes that does not survive into forked children."""

from __future__ import annotations

import os
import sys
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from .problems import StoreBusyError

if sys.platform == "win32":  # pragma: no cover - SQLite's own lock must do there

    def _flock(descriptor: int, *, wait: bool) -> bool:
        del descriptor, wait
        return True

    def _unflock(descriptor: int) -> None:
        del descriptor
else:
    import fcntl

    def _flock(descriptor: int, *, wait: bool) -> bool:
        mode = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        try:
            fcntl.flock(descriptor, mode)
        except BlockingIOError:
            return False
        return True

    def _unflock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


__all__ = ["FileLock"]

_POLL = 0.005


class FileLock:
    """`flock` on a file of its own; entering it waits for as long as it takes.

    Every commit, checkpoint, close and creation of a store happens under it. SQLite's
    own lock makes losers sleep up to 100 ms while others take it again, which starves
    processes; the kernel wakes the next waiter of this one at once. It also keeps two
    connections from writing and checkpointing at the same time, which SQLite before
    3.51.3 can get wrong (sqlite.org/wal.html, the WAL-reset bug).

    Args:
        path: The lock's file; created when missing, never deleted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _LIVE.add(self)

    def acquire(self, timeout: float) -> None:
        """Take the lock, or raise `StoreBusyError` after `timeout` seconds."""
        end = time.monotonic() + timeout
        while not _flock(self._descriptor, wait=False):
            if time.monotonic() >= end:
                raise StoreBusyError(self._complaint(timeout))
            time.sleep(_POLL)
        self._sign()

    def release(self) -> None:
        """Give the lock back."""
        _unflock(self._descriptor)

    def __enter__(self) -> Self:
        _flock(self._descriptor, wait=True)
        self._sign()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def holder(self) -> int | None:
        """Return the id of the process that took the lock last."""
        text = os.pread(self._descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else None

    def close(self) -> None:
        """Close the file, and with it give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _sign(self) -> None:
        os.pwrite(self._descriptor, b"%-20d\n" % os.getpid(), 0)

    def _complaint(self, timeout: float) -> str:
        holder = self.holder()
        return (
            f"the store's write lock {str(self.path)!r} was not free within "
            f"{timeout:g} s; process {holder} took it last: look at it with "
            f"`ps -o pid,stat,cmd {holder}`, and resume or end it if it is stuck"
        )


_LIVE: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _forget_in_child() -> None:
    # A child shares the parent's open file, and with it the lock: should the parent
    # die while it writes, the child would hold the lock for ever.
    for lock in list(_LIVE):
        lock.close()


if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_forget_in_child)
