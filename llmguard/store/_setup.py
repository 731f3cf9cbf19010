"""What has to be true of a file before it is a store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from ..errors import StoreError
from ._database import Dialect, storable

__all__ = [
    "SqliteConnection",
    "Synchronous",
    "drop_ballast",
    "fill_ballast",
    "make_file",
    "open_reader",
    "open_writer",
    "refuse_old_sqlite",
    "set_up",
]

Synchronous = Literal["FULL", "NORMAL", "OFF"]

_APPLICATION_ID = 0x4C4C4D47  # "LLMG": another program's file is not taken over
_OLDEST_SQLITE = (3, 35, 0)  # the first with RETURNING
_BUSY_TIMEOUT = 5.0
_WAL_SIZE_LIMIT = 64 * 2**20
_MEBIBYTE = 2**20
_SQLITE = Dialect(name="sqlite", for_update="", skip_locked="")


class SqliteConnection(sqlite3.Connection):
    """A connection that says which engine it is, and takes every text."""

    dialect = _SQLITE

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run one statement; what no file can hold is written escaped."""
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, storable(parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """Run one statement for each set of values, as `execute` does."""
        # Before the first one runs: repeating those that have would count them twice.
        return super().executemany(sql, [storable(each) for each in parameters])

    def alone(self, lock: str) -> None:
        """Do nothing: transactions that write run one after the other anyway."""


def make_file(path: Path) -> None:
    """Create the database's folder and file, readable by this user only."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.parent.name == ".llmguard":
            # Tickets hold what users wrote: keep them out of version control.
            (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def open_writer(path: Path, synchronous: Synchronous) -> SqliteConnection:
    """Return the process's one writing connection; the caller holds the lock.

    Raises:
        StoreError: SQLite is too old, the file is another program's, or its file
            system cannot do write-ahead logging.
        sqlite3.Error: The file is damaged or cannot be written.
    """
    refuse_old_sqlite(sqlite3.sqlite_version_info)
    connection = _connect(str(path))
    try:
        set_up(connection, path, synchronous)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> SqliteConnection:
    """Return a connection that cannot write, nor checkpoint when it is closed."""
    connection = _connect(f"{path.as_uri()}?mode=ro")
    connection.execute("PRAGMA mmap_size = 0")
    return connection


def _connect(name: str) -> SqliteConnection:
    connection = sqlite3.connect(
        name,
        uri=name.startswith("file:"),
        timeout=_BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
        factory=SqliteConnection,
    )
    connection.row_factory = sqlite3.Row
    return connection


def refuse_old_sqlite(version: tuple[int, ...]) -> None:
    """Raise `StoreError` for a SQLite that lacks what the store's SQL needs."""
    if version < _OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {'.'.join(map(str, version))!r} is too old for the store, which "
            "needs 3.35: use a Python that brings a newer one (python.org, uv, conda)"
        )


def set_up(
    connection: sqlite3.Connection, path: Path, synchronous: Synchronous
) -> None:
    """Prepare a connection that writes; refuse what cannot be a store."""
    owner = _number(connection, "PRAGMA application_id")
    tables = _number(connection, "SELECT count(*) FROM sqlite_master")
    if owner != _APPLICATION_ID and tables:
        raise StoreError(
            f"{str(path)!r} is another program's database ({tables} tables): set "
            "`LLMGUARD_STORE` to a path of llmguard's own"
        )
    mode = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
    if mode != "wal":
        raise StoreError(
            f"the store {str(path)!r} cannot use write-ahead logging (SQLite stays in "
            f"{mode!r} mode), because its file system lacks shared memory: put it on "
            "a local disk with `LLMGUARD_STORE`"
        )
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA mmap_size = 0")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_SIZE_LIMIT}")
    if owner != _APPLICATION_ID:
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _number(connection: sqlite3.Connection, sql: str) -> int:
    return int(connection.execute(sql).fetchone()[0])


def fill_ballast(path: Path, size: int) -> None:
    """Make the ballast file of `size` bytes, unless there is one."""
    if not size or path.exists():
        return
    # Written, not truncated to size: a hole would reserve nothing.
    with contextlib.suppress(OSError), path.open("wb") as file:
        for start in range(0, size, _MEBIBYTE):
            file.write(b"\0" * min(_MEBIBYTE, size - start))


def drop_ballast(path: Path) -> bool:
    """Delete the ballast; False when there was none."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
