"""One schema of a PostgreSQL server: read from any thread, written durably."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from ..errors import StoreError
from ._database import LOCK_TIMEOUT, STORE_LOCK, Connection
from ._pg_connect import READ_TIMEOUT, Wire, prelude
from ._pg_connection import PgConnection
from ._pg_errors import Late, Unreachable, from_postgres, is_cut, is_passing
from ._pg_notify import Bell
from ._pg_place import Place
from ._pg_pool import Pool
from ._pg_sql import lock_number
from .problems import StoreBusyError

__all__ = ["PgDatabase"]

T = TypeVar("T")

_PAUSE = (0.002, 0.25)  # seconds before a transaction is tried again: first, longest
_SNAPSHOT = b"SELECT pg_current_snapshot()::text"
_RESTART = 2.0  # seconds that a server which was just there may be gone


class PgDatabase:
    """Implements `Database` on a server.

    Jobs run in the caller's thread, each in a transaction of its own. A transaction
    that another one got in the way of, or whose connection was lost before its commit,
    is repeated within its time; so is a statement that reads.

    Args:
        place: The server and schema.
        pool: The process's connections.
        bell: What tells others about commits.
        durable: Whether a commit waits for the disk.
    """

    def __init__(
        self, place: Place, *, pool: Pool, bell: Bell, durable: bool = True
    ) -> None:
        self._place, self._pool, self._bell = place, pool, bell
        self._durable = durable
        self.closed = False

    def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        """Run one statement that reads, and return its rows."""
        return self.query(
            lambda connection: connection.execute(sql, parameters).fetchall()
        )

    def query(self, ask: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Let `ask` read; what it returns must not hold the connection."""
        return self._again(lambda end: self._ask(ask, end, snapshot), READ_TIMEOUT)

    def write(
        self,
        job: Callable[[Connection], T],
        *,
        timeout: float = LOCK_TIMEOUT,
        spare: bool = False,
        locks: Sequence[str] = (STORE_LOCK,),
    ) -> T:
        """Run `job` in a transaction and return its result once it is durable.

        See `Database.write`; `spare` is for the file system that SQLite is on.
        """
        del spare
        result = self._again(lambda end: self._transact(job, end, locks), timeout)
        self._bell.ring()
        return result

    def version(self) -> int:
        """Return a number that differs after any commit, of whatever schema."""
        # All transactions that were under way or done: a commit moves one of them.
        rows = self._again(self._snapshot, READ_TIMEOUT)
        digest = blake2b(rows.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after commits, others' too; returns how to stop."""
        return self._bell.listen(callback)

    def close(self) -> None:
        """Refuse further use; the store closes what it shares."""
        self.closed = True

    def _again(self, attempt: Callable[[float], T], timeout: float) -> T:
        """Repeat what a passing trouble prevented, within `timeout` seconds."""
        end = monotonic() + timeout
        pause, longest = _PAUSE
        restart = 0.0
        while True:
            try:
                return attempt(end)
            except Unreachable as error:
                problem: StoreError = error.problem
                again = isinstance(problem, StoreBusyError) or monotonic() < restart
            except Late as error:
                raise from_postgres(error, self._place) from error
            except psycopg.Error as error:
                problem = from_postgres(error, self._place)
                problem.__cause__ = error
                again = is_passing(error)
                if is_cut(error):
                    self._pool.renew()
                    # A server that restarts is worth waiting for, a stopped one not.
                    again = not restart or monotonic() < restart
                    restart = restart or monotonic() + _RESTART
            if not again or monotonic() + pause >= end:
                raise problem
            sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause = min(pause * 2, longest)

    def _ask(self, ask: Callable[[Connection], T], end: float, snapshot: bool) -> T:
        with self._pool.lend(end) as wire:
            schema = self._place.schema
            if not (snapshot or wire.pooled):
                return ask(PgConnection(wire, schema))
            level = "REPEATABLE READ" if snapshot else "READ COMMITTED"
            begin = f"BEGIN ISOLATION LEVEL {level} READ ONLY"
            start = (begin, *prelude(wire, self._place))
            try:
                return ask(PgConnection(wire, schema, start))
            finally:
                _undo(wire)

    def _snapshot(self, end: float) -> str:
        with self._pool.lend(end) as wire:
            return str(wire.execute(_SNAPSHOT).fetchall()[0][0])

    def _transact(
        self, job: Callable[[Connection], T], end: float, locks: Sequence[str]
    ) -> T:
        with self._pool.lend(end) as wire:
            start = tuple(self._start(wire, end, locks))
            connection = PgConnection(wire, self._place.schema, start)
            try:
                result = job(connection)
            except BaseException:
                connection.give_up()
                _undo(wire)
                raise
            if connection.begun:
                self._commit(wire, connection)
            return result

    def _start(self, wire: Wire, end: float, locks: Sequence[str]) -> Iterator[str]:
        """Yield what a transaction starts with."""
        yield "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
        yield from prelude(wire, self._place)
        if wire.hasty or not self._durable:
            yield f"SET LOCAL synchronous_commit TO {'on' if self._durable else 'off'}"
        left = max(1, int((end - monotonic()) * 1000))
        yield f"SET LOCAL statement_timeout TO {left}"
        # Sorted: two jobs that take the same locks in turn do not block each other.
        for number in sorted({lock_number(self._place.schema, one) for one in locks}):
            yield f"SELECT pg_advisory_xact_lock({number})"

    def _commit(self, wire: Wire, connection: PgConnection) -> None:
        try:
            connection.commit()
        except (psycopg.Error, Late) as error:
            if isinstance(error, psycopg.Error) and not wire.closed and error.sqlstate:
                _undo(wire)
                raise
            wire.drop()
            raise StoreBusyError(
                f"the connection to the PostgreSQL store {self._place.url!r} was lost "
                "while it committed; it may be written or not: look, or repeat it "
                "(enqueues and answers may be repeated)",
                written=None,
            ) from error


def _undo(wire: Wire) -> None:
    """End the transaction, or the connection if that cannot be done."""
    if wire.closed or wire.broken:
        wire.drop()
        return
    if wire.info.transaction_status == TransactionStatus.IDLE:
        return
    with suppress(psycopg.Error, Late):
        wire.run("ROLLBACK")
        return
    wire.drop()
