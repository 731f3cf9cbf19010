"""Branches that only an accident takes."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.errors import StoreError
from llmguard.store import LeaseLostError, NewTicket, SqliteStore, TicketState
from llmguard.store import _ticket_steps as steps
from llmguard.store._filelock import FileLock
from llmguard.store._health import health
from llmguard.store._setup import drop_ballast, refuse_old_sqlite, set_up
from llmguard.store._sqlite_database import SqliteDatabase

New = Callable[..., NewTicket]


def test_step_on_a_changed_ticket(tmp_path: Path, new_ticket: New) -> None:
    """A step that no longer finds its ticket as it was changes nothing."""
    store = SqliteStore(tmp_path / "s.db")
    stale = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.cancel(stale.id, actor="app", reason="test")

    def step(connection: sqlite3.Connection) -> None:
        steps.claim(connection, stale, now=0.0, reviewer="ann", lease=1.0)

    with pytest.raises(LeaseLostError, match="changed under this step"):
        store._main.write(step)
    assert store.tickets.get(stale.id).state == TicketState.CANCELLED
    assert [one.event for one in store.tickets.events(stale.id)] == [
        "enqueued",
        "cancelled",
    ]
    store.close()


def test_repeat_under_the_same_id(tmp_path: Path, new_ticket: New) -> None:
    """A replayed ticket that had arrived after all is found as it is."""
    store = SqliteStore(tmp_path / "s.db")
    new = new_ticket()
    first = store.tickets.enqueue(new)
    again = store.tickets.enqueue(dataclasses.replace(new, coalesce=False))
    assert (again.ticket, again.created) == (first.ticket, False)
    store.close()


def test_batches_are_bounded(tmp_path: Path) -> None:
    """However much is queued, one transaction takes a bounded part of it."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.open()
    commits: list[int] = []
    database.listen(lambda: commits.append(1))
    with FileLock(tmp_path / "s.db.lock"):
        writer = database._live().writer
        futures = [writer.submit(lambda connection: 1) for _ in range(600)]
    assert [future.result(10) for future in futures] == [1] * 600
    database.close()
    assert len(commits) == 3


def test_cancelled_jobs_do_not_run(tmp_path: Path) -> None:
    """A caller that gave up before its turn has written nothing."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.open()
    ran: list[int] = []
    with FileLock(tmp_path / "s.db.lock"):
        future = database._live().writer.submit(lambda connection: ran.append(1))
        assert future.cancel()
    database.close()
    assert ran == []


def test_old_sqlite() -> None:
    """A SQLite without `RETURNING` is refused with its version."""
    refuse_old_sqlite((3, 35, 0))
    with pytest.raises(StoreError, match=r"SQLite '3\.34\.1' is too old"):
        refuse_old_sqlite((3, 34, 1))


def test_no_write_ahead_log(tmp_path: Path) -> None:
    """Without WAL, as in memory, the store says what it lacks."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(StoreError, match="stays in 'memory' mode"):
        set_up(connection, tmp_path / "s.db", "FULL")
    connection.close()


def test_low_space_is_a_problem(tmp_path: Path) -> None:
    """Health warns before the disk is full."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    found = health(database, url="x", thorough=False, low_space=2**62)
    assert "MiB are free" in found.problems[0]
    database.close()


def test_no_ballast_to_drop(tmp_path: Path) -> None:
    """Without ballast there is nothing to give up."""
    assert drop_ballast(tmp_path / "none") is False


def test_close_behind_a_frozen_process(tmp_path: Path) -> None:
    """Closing does not wait for ever for somebody else's lock."""
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.open()
    with FileLock(tmp_path / "s.db.lock"):
        session = database._live()
        stuck = session.writer.submit(lambda connection: 7)
        database.close(timeout=0.01)
        assert not stuck.done()
    assert stuck.result(10) == 7
    session.close(10)
