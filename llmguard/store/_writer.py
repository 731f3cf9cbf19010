"""One thread per process that writes: jobs of many callers share one commit."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import StoreError
from ._database import Connection
from ._filelock import FileLock
from ._fork_gate import ForkGate
from ._setup import SqliteConnection

__all__ = ["Writer"]

_MAX_BATCH = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """One caller's write, and where its result goes."""

    job: Callable[[Connection], object]
    future: Future[Any] = field(default_factory=Future[Any])


class Writer:
    """Runs jobs in transactions; what is queued meanwhile shares the next commit.

    A durable commit costs one `fsync`, whatever it holds, so the longer the disk
    takes the larger the groups grow. A job that raises is undone alone, by its own
    savepoint; a transaction that SQLite gives up is repeated job by job, so that one
    job too large for the disk does not fail its neighbours.

    Args:
        connection: In autocommit mode; from now on used by this thread only.
        lock: Held around every transaction.
        translate: Turns SQLite's error into the one that callers get.
        ready: Called under the lock before each transaction; raises to refuse it.
        committed: Called after each commit, before the callers go on.
    """

    def __init__(
        self,
        *,
        connection: SqliteConnection,
        lock: FileLock,
        translate: Callable[[sqlite3.Error], StoreError],
        ready: Callable[[], None],
        committed: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._translate = translate
        self._ready = ready
        self._committed = committed
        self._gate = ForkGate()
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._run, name="llmguard-store-writer", daemon=True
        )
        self._thread.start()

    def submit(self, job: Callable[[Connection], object]) -> Future[Any]:
        """Queue a job; the future is done once its transaction is durable."""
        item = _Item(job)
        self._queue.put(item)
        return item.future

    def close(self, timeout: float) -> bool:
        """Write what is queued and stop; False when the lock was not free in time."""
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        running = True
        while running:
            first = self._queue.get()
            if first is None:
                return
            # The queue is drained under the lock: who came while we waited for it
            # is in this group too.
            with self._lock:
                items, running = self._drain(first)
                live = [one for one in items if _start(one)]
                if live:
                    with self._gate:
                        self._settle(live)

    def _drain(self, first: _Item) -> tuple[list[_Item], bool]:
        items = [first]
        while len(items) < _MAX_BATCH:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if item is None:
                return items, False
            items.append(item)
        return items, True

    def _settle(self, live: Sequence[_Item]) -> None:
        """Run the jobs in one transaction and tell every caller how it went."""
        try:
            self._ready()
            self._connection.execute("BEGIN IMMEDIATE")
        except (StoreError, sqlite3.Error) as error:
            _fail(live, self._told(error))
            return
        try:
            results = [self._perform(item) for item in live]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            if len(live) == 1:
                _fail(live, self._told(error))
            for item in live if len(live) > 1 else ():
                self._settle([item])
            return
        self._committed()
        for item, (value, problem) in zip(live, results, strict=True):
            if problem is None:
                item.future.set_result(value)
            else:
                item.future.set_exception(problem)

    def _told(self, error: StoreError | sqlite3.Error) -> StoreError:
        return error if isinstance(error, StoreError) else self._translate(error)

    def _perform(self, item: _Item) -> tuple[object, Exception | None]:
        self._connection.execute("SAVEPOINT job")
        try:
            value = item.job(self._connection)
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            self._connection.execute("ROLLBACK TO job")
            self._connection.execute("RELEASE job")
            return None, error
        self._connection.execute("RELEASE job")
        return value, None

    def _undo(self) -> None:
        # SQLite rolls back by itself on a full disk and on I/O errors.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _start(item: _Item) -> bool:
    """Return False when the caller has stopped waiting."""
    return item.future.set_running_or_notify_cancel()


def _fail(live: Sequence[_Item], error: StoreError) -> None:
    for item in live:
        item.future.set_exception(error)
