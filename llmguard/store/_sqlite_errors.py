"""SQLite's errors, told as what happened and what to do about it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from ..errors import StoreError
from .problems import StoreBusyError, StoreFullError

__all__ = ["from_os", "from_sqlite"]

_PRIMARY = 0xFF  # the low byte of an extended result code


def from_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the `StoreError` that says what `error` means for the store at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    where = repr(str(path))
    if code == sqlite3.SQLITE_FULL:
        return _full(where)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StoreBusyError(
            f"another program holds the store {where} locked; find it with "
            f"`fuser -v {path}` and let it finish"
        )
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return StoreError(
            f"the store {where} is damaged or not a database ({error}); restore a "
            f"backup, or save what is left with `sqlite3 {path} .recover | sqlite3 "
            f"{path}.new`, then move the new file over it"
        )
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StoreError(
            f"the store {where} cannot be written ({error}); the user of this process "
            "needs to own its folder, or set `LLMGUARD_STORE` to another path"
        )
    return StoreError(
        f"the store {where} failed: {error}; check the disk, then run `llmguard doctor`"
    )


def from_os(error: OSError, path: Path) -> StoreError:
    """Return the `StoreError` for a failure of the file system at `path`."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return _full(repr(str(path)))
    return StoreError(
        f"the store {str(path)!r} cannot be opened: {error.strerror or error}; set "
        "`LLMGUARD_STORE` to a path that this user can write"
    )


def _full(where: str) -> StoreFullError:
    return StoreFullError(
        f"no space left for the store {where}; nothing was written and nothing is "
        "lost: free some space (`df -h`), then try again"
    )
