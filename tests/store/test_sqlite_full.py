"""Full disks and locks that others hold."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.store import NewTicket, SqliteStore, StoreBusyError, StoreFullError
from llmguard.store._filelock import FileLock
from llmguard.store._sqlite_database import SqliteDatabase
from llmguard.store._sqlite_errors import from_sqlite

New = Callable[..., NewTicket]


def test_sqlite_full_is_typed(tmp_path: Path) -> None:
    """SQLite's own full condition becomes `StoreFullError`, and reading goes on."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.write(lambda connection: connection.execute("PRAGMA max_page_count=120"))
    big = "x" * 8192

    def fill(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO breakers VALUES (hex(randomblob(8)), ?, '', 0, 0, 0, '')",
            (big,),
        )

    def fill_up() -> None:
        for _ in range(100):
            database.write(fill)

    with pytest.raises(StoreFullError, match="nothing is lost"):
        fill_up()
    kept = database.read("SELECT count(*) FROM breakers")[0][0]
    assert kept > 0
    database.close()


def test_ballast_lets_people_answer(tmp_path: Path) -> None:
    """A spare write gives up the ballast and tries once more; others do not."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main", ballast=3 * 2**20)
    database.open()
    ballast = tmp_path / "s.db.ballast"
    assert ballast.stat().st_size == 3 * 2**20
    tries: list[bool] = []

    def write(connection: sqlite3.Connection) -> None:
        tries.append(ballast.exists())
        if ballast.exists():
            connection.execute("PRAGMA max_page_count = 1")
            connection.execute(
                "INSERT INTO breakers VALUES (?, '', '', 0, 0, 0, '')", ("x" * 99999,)
            )

    with pytest.raises(StoreFullError):
        database.write(write)
    database.write(write, spare=True)
    assert tries[-2:] == [True, False]
    database.close()


def test_tmpfs_that_is_really_full(tmp_path: Path, new_ticket: New) -> None:
    """On a full disk enqueues fail typed, acknowledged tickets stay, room heals it."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(tmp_path)]
    if not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small tmpfs needs root and CAP_SYS_ADMIN")
    kept: list[str] = []

    def fill_up() -> None:
        for _ in range(1000):
            new = new_ticket(inputs={"text": "x" * 4000})
            kept.append(store.tickets.enqueue(new).ticket.id)

    try:
        store = SqliteStore(tmp_path / "s.db")
        with pytest.raises(StoreFullError):
            fill_up()
        assert len(kept) > 20
        assert [store.tickets.get(one).id for one in kept] == kept
        with pytest.raises(StoreFullError):
            store.tickets.enqueue(new_ticket(inputs={"text": "x" * 40000}))
        subprocess.run(["mount", "-o", "remount,size=8M", str(tmp_path)], check=True)
        store.tickets.enqueue(new_ticket(inputs={"text": "x" * 40000}))
        assert store.health(thorough=True).problems[1:] == ()
        store.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_file_size_limit(tmp_path: Path) -> None:
    """A process that may not grow files gets a `StoreError`, not a broken store."""
    script = """
import pathlib, resource, sys
from llmguard.errors import StoreError
from llmguard.store import BreakerRow, SqliteStore
store = SqliteStore(sys.argv[1])
folder = pathlib.Path(sys.argv[1]).parent
most = 200_000 + max(file.stat().st_size for file in folder.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
written = 0
try:
    while written < 10_000:
        store.put_breaker(BreakerRow(key=str(written), state="x" * 3000))
        written += 1
except StoreError as error:
    assert len(store.list_breakers()) == written, written
    print(written > 0, type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "s.db")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == "True", done
    store = SqliteStore(tmp_path / "s.db")
    assert store.health(thorough=True).problems == ()
    store.close()


def test_lock_held_elsewhere(tmp_path: Path) -> None:
    """A stuck lock is reported with the process that took it."""
    SqliteStore(tmp_path / "s.db").close()
    with FileLock(tmp_path / "s.db.lock"):
        mine = FileLock(tmp_path / "s.db.lock")
        with pytest.raises(StoreBusyError, match=f"process {os.getpid()} took it"):
            mine.acquire(0.01)
        mine.close()
        mine.close()


def test_frozen_lock_holder_only_delays(tmp_path: Path) -> None:
    """While another process holds the lock a write fails in time, unwritten."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.open()
    with FileLock(tmp_path / "s.db.lock"):
        with pytest.raises(StoreBusyError, match="nothing was written") as caught:
            database.write(lambda connection: None, timeout=0.05)
        assert caught.value.written is False
        assert database.read("SELECT count(*) FROM breakers")[0][0] == 0
    assert database.write(lambda connection: 7) == 7
    database.close()


def test_other_program_locks_the_database(tmp_path: Path) -> None:
    """A lock taken past ours, by a shell or a backup, is named as such."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    assert isinstance(from_sqlite(error, tmp_path / "s.db"), StoreBusyError)
