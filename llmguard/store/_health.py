"""How well a store is, in sentences that say what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from ._location import spill_folder
from ._sqlite_database import SqliteDatabase
from .backend import StoreHealth

__all__ = ["LOW_SPACE", "count_spilled", "health", "spill_problem"]

LOW_SPACE = 64 * 2**20
"""Bytes: below it a burst of tickets and the log's next growth may not fit."""


def health(
    database: SqliteDatabase, *, url: str, thorough: bool, low_space: int = LOW_SPACE
) -> StoreHealth:
    """Look at a store, its disk and its spill folder.

    Args:
        database: The durable file.
        url: The store's URL, for the record.
        thorough: Also read every page (`PRAGMA quick_check`): seconds per gigabyte.
        low_space: Bytes below which the disk counts as nearly full.
    """
    path = database.path
    newest = database.read(
        "SELECT name FROM schema_migrations ORDER BY number DESC LIMIT 1"
    )
    left = shutil.disk_usage(path.parent).free
    spilled = count_spilled(path)
    return StoreHealth(
        url=url,
        engine=f"SQLite {sqlite3.sqlite_version}",
        schema=str(newest[0][0]),
        size=_size(path) + _size(path.with_name(path.name + "-wal")),
        free=left,
        spilled=spilled,
        problems=(
            *_shortage(path.parent, left, low_space),
            *spill_problem(path, spilled),
            *(_damage(database) if thorough else ()),
        ),
    )


def _shortage(folder: Path, left: int, low_space: int) -> Iterator[str]:
    if left < low_space:
        yield (
            f"only {left // 2**20} MiB are free at {str(folder)!r}: free some space, "
            "or soon no ticket can be accepted"
        )


def count_spilled(path: Path) -> int:
    """Return how many tickets wait beside the store at `path`."""
    folder = spill_folder(path)
    return sum(1 for _ in folder.glob("*.json")) if folder.is_dir() else 0


def spill_problem(path: Path, spilled: int) -> Iterator[str]:
    """Say what to do about tickets that wait beside the store at `path`."""
    if spilled:
        yield (
            f"{spilled} tickets wait in {str(spill_folder(path))!r} since the store "
            "was down: `llmguard queue list` brings them in"
        )


def _damage(database: SqliteDatabase) -> Iterator[str]:
    path = database.path
    for wrong in _check_pages(database):
        yield (
            f"the store {str(path)!r} is damaged ({wrong}): restore a backup, or save "
            f"what is left with `sqlite3 {path} .recover`"
        )


def _check_pages(database: SqliteDatabase) -> list[str]:
    try:
        rows = database.read("PRAGMA quick_check(5)")
    except StoreError as error:
        return [str(error)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
