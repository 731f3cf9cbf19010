"""Migrations that a file lacks, and copies of files that are in use."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from ..errors import StoreError
from ._migrate import load, refuse_strangers
from ._setup import open_reader
from ._sqlite_errors import from_os, from_sqlite
from .ledger import LedgerCheck
from .sqlite import SqliteStore, metrics_path
from .upkeep import Backup

__all__ = ["copy", "pending_names"]

_TABLE = "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'"


def pending_names(path: Path) -> tuple[str, ...]:
    """Return the migrations that the store at `path` lacks."""
    parts = {"main": path, "metrics": metrics_path(path)}
    return tuple(name for part, file in parts.items() for name in _todo(part, file))


def _todo(part: str, file: Path) -> list[str]:
    steps = load(part)
    done: dict[int, tuple[str, str]] = {}
    if file.exists():
        try:
            with closing(open_reader(file)) as reader:
                if reader.execute(_TABLE).fetchone():
                    rows = reader.execute(
                        "SELECT number, name, checksum FROM schema_migrations"
                    )
                    done = {int(row[0]): (str(row[1]), str(row[2])) for row in rows}
        except sqlite3.Error as error:
            raise from_sqlite(error, file) from error
    refuse_strangers(done, steps)
    return [f"{part}/{step.name}" for step in steps if step.number not in done]


def copy(source: Path, target: Path) -> Backup:
    """Copy both files of a store with SQLite's backup API, and read the copies."""
    pairs = [(source, target)]
    if metrics_path(source).exists():
        pairs.append((metrics_path(source), metrics_path(target)))
    for one, to in pairs:
        _copy(one, to)
    found = _walk(target)
    return Backup(
        files=tuple(to for _, to in pairs),
        size=sum(to.stat().st_size for _, to in pairs),
        entries=found.entries,
        head=found.head,
        restore=(
            "stop what uses the store, delete the old files' `-wal` and `-shm` beside "
            "them, then "
            + " and ".join(f"`cp {copied} {original}`" for original, copied in pairs)
        ),
    )


def _copy(source: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        # Its owner's alone, as the store is.
        os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        with (
            closing(open_reader(source)) as reader,
            closing(sqlite3.connect(draft, isolation_level=None)) as writer,
        ):
            # All at once: in steps, each commit meanwhile would start it anew.
            reader.backup(writer)
            # A copy in one file, without a log beside it.
            writer.execute("PRAGMA journal_mode = DELETE")
            wrong = [row[0] for row in writer.execute("PRAGMA integrity_check(5)")]
        if wrong != ["ok"]:
            raise StoreError(
                f"the copy of {str(source)!r} is damaged ({'; '.join(wrong)}), as the "
                "store itself may be: `llmguard store check`"
            )
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(target)
    except sqlite3.Error as error:
        raise from_sqlite(error, source) from error
    except OSError as error:
        raise from_os(error, target) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _walk(target: Path) -> LedgerCheck:
    """Walk the ledger of the copy, and leave nothing but the copy behind."""
    store = SqliteStore(target)
    try:
        found = store.ledger.verify()
    finally:
        store.close()
        target.with_name(f"{target.name}.lock").unlink(missing_ok=True)
    if not found.ok:
        raise StoreError(
            f"{str(target)!r} was copied, but its ledger is not as it was written: "
            f"{found.problem}"
        )
    return found
