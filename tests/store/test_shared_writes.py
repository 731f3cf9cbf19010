"""Many callers, few commits; several processes; forks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from store_backends import make_store

from llmguard.errors import StoreError
from llmguard.store import BreakerRow, NewTicket, SqliteStore, Store
from llmguard.store._filelock import FileLock
from llmguard.store._sqlite_database import SqliteDatabase

New = Callable[..., NewTicket]


def _put(key: str) -> Callable[[sqlite3.Connection], str]:
    def job(connection: sqlite3.Connection) -> str:
        connection.execute(
            "INSERT INTO breakers VALUES (?, 'open', '', 0, NULL, 1, '')", (key,)
        )
        return key

    return job


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    database = SqliteDatabase(tmp_path / "s.db", schema="main")
    database.open()
    return database


def _held(
    database: SqliteDatabase, jobs: list[Callable[[sqlite3.Connection], str]]
) -> list:
    """Queue jobs while the lock is away, so that they share one commit."""
    lock = FileLock(database.path.with_name("s.db.lock"))
    commits: list[int] = []
    stop = database.listen(lambda: commits.append(1))
    with ThreadPoolExecutor(len(jobs)) as pool:
        with lock:
            futures = [pool.submit(database.write, job) for job in jobs]
            queue = database._live().writer._queue
            while queue.qsize() < len(jobs) - 1:  # the writer waits with the first one
                pass
        results = [future.exception() or future.result() for future in futures]
    stop()
    lock.close()
    return [*results, len(commits)]


def test_waiting_writes_share_a_commit(database: SqliteDatabase) -> None:
    """Ten writes that waited for the lock are one transaction."""
    keys = [f"k{number}" for number in range(10)]
    *results, commits = _held(database, [_put(key) for key in keys])
    assert (results, commits) == (keys, 1)
    assert database.read("SELECT count(*) FROM breakers")[0][0] == 10
    database.close()


def test_failing_job_is_undone_alone(database: SqliteDatabase) -> None:
    """A job that raises takes back what it wrote and nothing else."""

    def fails(connection: sqlite3.Connection) -> str:
        _put("bad")(connection)
        raise ValueError("no")

    *results, commits = _held(database, [_put("a"), fails, _put("b")])
    assert [str(one) for one in results] == ["a", "no", "b"]
    assert commits == 1
    rows = database.read("SELECT key FROM breakers ORDER BY key")
    assert [row[0] for row in rows] == ["a", "b"]
    database.close()


def test_lost_transaction_is_repeated_job_by_job(database: SqliteDatabase) -> None:
    """When SQLite gives up a group, only the job that broke it fails."""
    *results, commits = _held(database, [_put("a"), _put("a"), _put("b")])
    assert results[0] == "a"
    assert isinstance(results[1], StoreError)
    assert (results[2], commits) == ("b", 2)
    database.close()


def test_close_writes_what_is_queued(database: SqliteDatabase) -> None:
    """Nothing that was accepted is dropped by an orderly end."""
    futures = [
        database._live().writer.submit(_put(f"k{number}")) for number in range(20)
    ]
    database.close()
    assert [future.result(0) for future in futures] == [
        f"k{number}" for number in range(20)
    ]


def test_threads_enqueue_and_claim_disjointly(store: Store, new_ticket: New) -> None:
    """Eight threads claim forty tickets, nobody the same one twice."""
    for _ in range(40):
        store.tickets.enqueue(new_ticket())

    def work(name: int) -> list[str]:
        taken = []
        while (ticket := store.tickets.claim(reviewer=str(name))) is not None:
            taken.append(ticket.id)
        return taken

    with ThreadPoolExecutor(8) as pool:
        taken = [one for part in pool.map(work, range(8)) for one in part]
    assert sorted(taken) == [f"t{number:04}" for number in range(1, 41)]


WORKER = """
import sys
from llmguard.store import NewTicket, open_store
store = open_store(sys.argv[1])
name = sys.argv[2]
for number in range(25):
    one = f"{name}-{number}"
    new = NewTicket(id=one, queue="q", key=one, fingerprint=one, inputs={})
    store.tickets.enqueue(new)
while (ticket := store.tickets.claim(reviewer=name)) is not None:
    store.tickets.answer(ticket.id, name, reviewer=name, token=ticket.lease_token)
    print(ticket.id)
store.close()
"""


def test_processes_create_and_share_one_store(store_url: str) -> None:
    """Four processes make the store at once and answer each ticket exactly once."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, store_url, name],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    lines = [line for worker in workers for line in worker.communicate()[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    expected = sorted(f"{name}-{number}" for name in "abcd" for number in range(25))
    assert sorted(lines) == expected
    store = make_store(store_url)
    assert store.tickets.counts() == {"q": {"answered": 100}}
    store.close()


def test_forked_child_opens_its_own(store: Store) -> None:
    """A child uses the parent's store object, and both see each other's writes."""
    store.put_breaker(BreakerRow(key="parent", state="open"))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.put_breaker(BreakerRow(key="child", state="open"))
            names = ",".join(row.key for row in store.list_breakers())
            os.write(writing, names.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "child,parent"
    os.waitpid(child, 0)
    store.put_breaker(BreakerRow(key="later", state="open"))
    assert [row.key for row in store.list_breakers()] == ["child", "later", "parent"]


def test_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A parent that dies holding the lock does not leave it with its child."""
    script = """
import os, signal, sys, time
from pathlib import Path
from llmguard.store._filelock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire(1)
if os.fork() == 0:
    os.write(1, b"ready")
    os.close(1)
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "x.lock"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.read() == b"ready"
        lock = FileLock(path)
        lock.acquire(5)
        lock.close()


def test_reader_sees_other_processes_commits(open_again: Callable[[], Store]) -> None:
    """The polled version moves when somebody commits, and rests in between."""
    one, other = open_again(), open_again()
    # On a server other work than ours moves it too, but not each time.
    seen = [one.version() for _ in range(20)]
    assert any(first == second for first, second in pairwise(seen))
    before = one.version()
    other.put_breaker(BreakerRow(key="k", state="open"))
    assert one.version() != before


def test_threads_close_their_readers(tmp_path: Path) -> None:
    """A thread's connection goes with the thread."""
    store = SqliteStore(tmp_path / "s.db")
    thread = threading.Thread(target=store.list_breakers)
    thread.start()
    thread.join()
    assert len(store._main._live()._readers) == 0
    store.close()


def test_listeners_hear_commits_until_they_stop(store: Store) -> None:
    """A listener is called after each commit of its own process."""
    heard: list[str] = []
    stop = store.listen(lambda: heard.append("one"))
    store.listen(lambda: heard.append("two"))
    store.put_breaker(BreakerRow(key="a", state="open"))
    assert {"one", "two"} == set(heard)
    stop()
    heard.clear()
    store.put_breaker(BreakerRow(key="b", state="open"))
    assert {"two"} == set(heard)
