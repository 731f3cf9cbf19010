"""Servers that restart, freeze or lose connections, and what is told of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from postgres_server import PostgresServer
from store_backends import make_store, raw

from llmguard.errors import StoreError
from llmguard.store import BreakerRow, NewTicket, StoreBusyError

pytest.importorskip("psycopg")
New = Callable[..., NewTicket]


@pytest.fixture
def store(postgres_url: str) -> Iterator[Any]:
    store = make_store(postgres_url)
    yield store
    store.close()


def _put(store: Any, key: str) -> None:
    store.put_breaker(BreakerRow(key=key, state="open"))


def _keys(store: Any) -> list[str]:
    return [row.key for row in store.list_breakers()]


def _touch(connection: Any) -> None:
    connection.execute("SELECT 1")


def _cut(connection: Any, pid: int) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGQUIT])
def test_a_restarted_server_is_not_noticed(
    store: Any, postgres_server: PostgresServer, sign: signal.Signals
) -> None:
    """In order or as a crash: reads and writes go on with new connections."""
    _put(store, "before")
    with ThreadPoolExecutor(4) as pool:  # several connections to find dead
        list(pool.map(lambda _: _keys(store), range(16)))
    postgres_server.restart(sign)
    assert ["before"] == _keys(store)
    postgres_server.restart(sign)
    _put(store, "between")
    assert ["before", "between"] == _keys(store)


def test_a_stopped_server_is_told_at_once(
    store: Any, postgres_server: PostgresServer
) -> None:
    """Not after ten seconds, and the store works again when the server is back."""
    _put(store, "before")
    postgres_server.stop()
    try:
        with pytest.raises(StoreError, match="no PostgreSQL server answers"):
            _put(store, "lost")
        with pytest.raises(StoreError, match="no PostgreSQL server answers"):
            store.version()
    finally:
        postgres_server.start()
    _put(store, "after")
    assert ["after", "before"] == _keys(store)


def test_a_job_whose_connection_is_cut_runs_again(
    store: Any, postgres_url: str
) -> None:
    """Before its commit nothing has happened, so it is repeated."""
    runs: list[int] = []

    def job(connection: Any) -> int:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        connection.execute("INSERT INTO revisions VALUES (?, 1)", (str(len(runs)),))
        runs.append(pid)
        if len(runs) == 1:
            with raw(postgres_url) as other:
                _cut(other, pid)
        connection.execute("SELECT 1")
        return len(runs)

    assert 2 == store._main.write(job)
    topics = store._main.read("SELECT topic FROM revisions ORDER BY topic")
    assert ["1", "breakers"] == [row["topic"] for row in topics]


def test_a_commit_whose_connection_is_cut_is_unknown(
    store: Any, postgres_url: str
) -> None:
    """Nobody can say whether it was written, and the error says so."""

    def job(connection: Any) -> None:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        with raw(postgres_url) as other:
            _cut(other, pid)

    with pytest.raises(StoreBusyError, match="it may be written or not") as lost:
        store._main.write(job)
    assert lost.value.written is None
    _put(store, "after")


def test_jobs_that_wait_for_each_other_both_end(store: Any) -> None:
    """PostgreSQL ends one of two that block each other; it is repeated."""
    for key in "ab":
        _put(store, key)
    first = threading.Barrier(2)

    def job(keys: str) -> Callable[[Any], None]:
        tries: list[int] = []

        def both(connection: Any) -> None:
            tries.append(1)
            for key in keys:
                connection.execute(
                    "UPDATE breakers SET reason = reason || ? WHERE key = ?",
                    (keys[0], key),
                )
                if len(tries) == 1:
                    with contextlib.suppress(threading.BrokenBarrierError):
                        first.wait(1.0)

        return both

    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(lambda keys: store._main.write(job(keys), locks=()), ("ab", "ba"))
        )
    assert ["ab", "ab"] == [
        "".join(sorted(row.reason)) for row in store.list_breakers()
    ]


def test_jobs_of_one_lock_run_one_after_the_other(store: Any) -> None:
    """Whatever they do in between; those of other locks do not wait."""
    inside: list[int] = []
    most: list[int] = []

    def job(connection: Any) -> None:
        _touch(connection)
        inside.append(1)
        most.append(len(inside))
        connection.execute("SELECT pg_sleep(0.01)")
        inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store._main.write(job, locks=("x",)), range(8)))
    assert 1 == max(most)


def test_a_lock_that_is_not_free_in_time(store: Any) -> None:
    """The caller gets an error in its time, and nothing is written."""
    held, done = threading.Event(), threading.Event()

    def hold(connection: Any) -> None:
        _touch(connection)
        held.set()
        done.wait(10.0)

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(store._main.write, hold, locks=("x",))
        held.wait(10.0)
        with pytest.raises(StoreBusyError, match=r"busy for too long|in time") as late:
            store._main.write(_touch, locks=("x",), timeout=0.2)
        assert late.value.written is False
        store._main.write(_touch, locks=("y",), timeout=5.0)
        done.set()
        holder.result(10.0)


def test_a_frozen_server_does_not_hold_its_callers(
    store: Any, postgres_server: PostgresServer
) -> None:
    """The server's own timeouts are frozen with it; the caller's are not."""
    _put(store, "before")
    pids = postgres_server.backends()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreBusyError, match="did not answer in time"):
            store._main.write(_touch, timeout=0.3)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    _put(store, "after")
    assert ["after", "before"] == _keys(store)


def test_a_pool_that_is_empty(postgres_url: str) -> None:
    """Who finds all connections lent waits, then is told."""
    store: Any = make_store(f"{postgres_url}&pool_size=1")

    def nested(_connection: Any) -> None:
        store._main.write(lambda _: None, timeout=0.2)

    with pytest.raises(StoreBusyError, match=r"all 1 connections .* `\?pool_size=`"):
        store._main.write(nested)
    _put(store, "after")
    store.close()
    with pytest.raises(StoreError, match="was closed; get it again"):
        _keys(store)


def test_errors_of_a_job_undo_it(store: Any) -> None:
    """What a job raises reaches the caller, and what it wrote is gone."""

    def job(connection: Any) -> None:
        connection.execute("INSERT INTO revisions VALUES ('x', 1)")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store._main.write(job)
    assert 1 == len(store._main.read("SELECT * FROM revisions"))
    with pytest.raises(StoreError, match="violates check constraint"):
        store._main.write(
            lambda connection: connection.execute(
                "INSERT INTO tickets (id, queue, state, created_at, fingerprint) "
                "VALUES ('x', 'q', 'odd', 0, '')"
            )
        )
    _put(store, "after")


def test_a_snapshot_sees_one_moment(store: Any) -> None:
    """Statements of one question agree, whatever is written in between."""

    def ask(reader: Any) -> list[int]:
        found = []
        for key in "abc":
            rows = reader.execute("SELECT count(*) FROM breakers").fetchone()
            found.append(rows[0])
            _put(store, key)
        return found

    assert [0, 0, 0] == store._main.query(ask, snapshot=True)
    assert 3 == len(_keys(store))


def test_other_processes_are_heard(store: Any, postgres_url: str) -> None:
    """A commit elsewhere calls our listeners, also one just before its process ends."""
    heard = threading.Event()
    store.listen(heard.set)
    assert store._bell.settled.wait(30.0)
    assert store.hears is True
    heard.clear()
    subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import sys\n"
                "from llmguard.store import BreakerRow, open_store\n"
                "row = BreakerRow(key='k', state='open')\n"
                "open_store(sys.argv[1]).put_breaker(row)\n"
            ),
            postgres_url,
        ],
        check=True,
    )
    assert heard.wait(30.0)


def test_hearing_again_after_a_restart(
    store: Any, postgres_url: str, postgres_server: PostgresServer
) -> None:
    """The listening connection comes back by itself, and says that it was away."""
    store.listen(lambda: None)
    assert store._bell.settled.wait(30.0)
    calls = threading.Semaphore(0)
    store.listen(calls.release)
    postgres_server.restart()
    assert calls.acquire(timeout=30.0)
    assert store._bell.settled.wait(30.0)
    assert store.hears is True
    other: Any = make_store(postgres_url)
    while calls.acquire(blocking=False):
        pass
    _put(other, "there")
    assert calls.acquire(timeout=30.0)
    other.close()


def test_a_forked_child_hears_and_its_parent_too(store: Any, postgres_url: str) -> None:
    """Each has a thread and connections of its own."""
    _put(store, "parent")
    heard = threading.Event()
    store.listen(heard.set)
    assert store._bell.settled.wait(30.0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mine = threading.Event()
            store.listen(mine.set)
            store._bell.settled.wait(30.0)
            mine.clear()
            os.write(writing, b"r")
            os.write(writing, b"1" if mine.wait(30.0) else b"0")
        finally:
            os._exit(0)
    assert b"r" == os.read(reading, 1)
    other: Any = make_store(postgres_url)
    heard.clear()
    _put(other, "other")
    assert b"1" == os.read(reading, 1)
    assert heard.wait(30.0)
    os.waitpid(child, 0)
    _put(store, "later")
    assert ["later", "other", "parent"] == _keys(store)
    other.close()


def test_counts_of_ended_sessions_are_folded(
    postgres_url: str, new_ticket: New
) -> None:
    """Each session counts apart; what is left of it is added up."""
    for _ in range(3):
        store: Any = make_store(postgres_url)
        store.tickets.enqueue(new_ticket())
        store.close()
    store = make_store(postgres_url)
    assert {"triage": {"open": 3}} == store.tickets.counts()
    store.health()
    rows = store._main.read("SELECT slot, n FROM ticket_count_slots")
    assert [(0, 3)] == [(row["slot"], row["n"]) for row in rows]
    assert () == tuple(
        one for one in store.health(thorough=True).problems if "off`" not in one
    )
    with raw(postgres_url) as connection:
        connection.execute("UPDATE ticket_count_slots SET n = 9")
    assert "9 tickets of queue 'triage' count as open, there are 3" in " ".join(
        store.health(thorough=True).problems
    )
    store.close()
