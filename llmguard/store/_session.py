"""What one process has open of a store; a forked child starts a new one."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from ..errors import StoreError
from ._filelock import FileLock
from ._fork_gate import ForkGate
from ._setup import SqliteConnection, open_reader
from ._sqlite_errors import from_sqlite
from ._writer import Writer
from .problems import StoreBusyError

__all__ = ["Session"]


class _Reader:
    """A thread's own connection; closed with the thread."""

    def __init__(self, path: Path) -> None:
        self.connection = open_reader(path)
        self.gate = ForkGate()

    def __del__(self) -> None:
        # `connection` is missing when opening it failed.
        with contextlib.suppress(AttributeError, sqlite3.Error):
            self.connection.close()


class Session:
    """The lock, the writer and the readers of one process.

    Args:
        path: The database file.
        connection: The one connection that writes.
        lock: The lock between processes, not held.
        committed: Called after each commit of this process.
    """

    def __init__(
        self,
        path: Path,
        *,
        connection: SqliteConnection,
        lock: FileLock,
        committed: Callable[[], None],
    ) -> None:
        self._path = path
        self._lock = lock
        self._connection = connection
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._file = path.stat().st_ino
        self.writer = Writer(
            connection=connection,
            lock=lock,
            translate=lambda error: from_sqlite(error, path),
            ready=self.check_file,
            committed=committed,
        )

    def reader(self) -> tuple[SqliteConnection, ForkGate]:
        """Return the calling thread's connection, and what to hold while in it."""
        found: _Reader | None = getattr(self._local, "reader", None)
        if found is None:
            found = self._local.reader = _Reader(self._path)
            self._readers.add(found)
        return found.connection, found.gate

    def close(self, timeout: float) -> None:
        """Write what is queued and close, unless a frozen process holds the lock."""
        if not self.writer.close(timeout):
            return
        for reader in list(self._readers):
            reader.connection.close()
        # Closing the last connection checkpoints, so it happens under the lock.
        with contextlib.suppress(StoreBusyError):
            self._lock.acquire(timeout)
            self._connection.close()
        self._lock.close()

    def check_file(self) -> None:
        """Raise `StoreError` when the path no longer leads to the open file."""
        # A commit into a deleted file would be acknowledged and lost.
        try:
            same = self._path.stat().st_ino == self._file
        except FileNotFoundError:
            same = False
        if not same:
            raise StoreError(
                f"the store's file {str(self._path)!r} was deleted or replaced under "
                "this process; nothing is written to it: put it back, or restart"
            )
