"""One schema of a PostgreSQL server: read from any thread, written durably."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from time import monotonic, sleep
from typing import Any, TypeVar

import psycopg

from ..errors import StoreError
from ._database import LOCK_TIMEOUT, STORE_LOCK, Connection, Cursor, Parameters
from ._pg_connect import READ_TIMEOUT, Wire, prelude
from ._pg_errors import Late, Unreachable, from_postgres, is_cut, is_passing
from ._pg_notify import Bell
from ._pg_place import Place
from ._pg_pool import Pool
from ._pg_sql import POSTGRESQL, lock_number, translate
from .problems import StoreBusyError

__all__ = ["PgConnection", "PgDatabase"]

T = TypeVar("T")

_PAUSE = (0.002, 0.25)  # seconds before a transaction is tried again: first, longest
_SNAPSHOT = b"SELECT pg_current_snapshot()::text"
_RESTART = 2.0  # seconds that a server which was just there may be gone


class PgConnection:
    """Implements `Connection` on a lent connection."""

    dialect = POSTGRESQL

    def __init__(self, wire: Wire, schema: str) -> None:
        self._wire, self._schema = wire, schema

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Run one statement with `?` or `:name` in place of its values."""
        text, values = translate(sql, parameters)
        return self._wire.execute(text, values or None)

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Run one statement for each set of values."""
        text = b""
        rows: list[Sequence[Any]] = []
        for one in parameters:
            text, values = translate(sql, one)
            rows.append(values)
        cursor = self._wire.cursor()
        if rows:
            cursor.executemany(text, rows)
        return cursor

    def alone(self, lock: str) -> None:
        """Wait until no other transaction holds `lock`, and hold it until the end."""
        number = lock_number(self._schema, lock)
        self._wire.run(f"SELECT pg_advisory_xact_lock({number})")


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
            connection = PgConnection(wire, self._place.schema)
            if not (snapshot or wire.pooled):
                return ask(connection)
            level = "REPEATABLE READ" if snapshot else "READ COMMITTED"
            wire.run(
                f"BEGIN ISOLATION LEVEL {level} READ ONLY; {prelude(wire, self._place)}"
            )
            try:
                return ask(connection)
            finally:
                _undo(wire)

    def _snapshot(self, end: float) -> str:
        with self._pool.lend(end) as wire:
            return str(wire.execute(_SNAPSHOT).fetchall()[0][0])

    def _transact(
        self, job: Callable[[Connection], T], end: float, locks: Sequence[str]
    ) -> T:
        with self._pool.lend(end) as wire:
            try:
                wire.run(self._begin(wire, end, locks))
                result = job(PgConnection(wire, self._place.schema))
            except BaseException:
                _undo(wire)
                raise
            self._commit(wire)
            return result

    def _begin(self, wire: Wire, end: float, locks: Sequence[str]) -> str:
        """Return all that a transaction starts with, one message to the server."""
        left = max(1, int((end - monotonic()) * 1000))
        schema = self._place.schema
        numbers = sorted({lock_number(schema, lock) for lock in locks})
        commits = "" if self._durable else "SET LOCAL synchronous_commit TO off; "
        if self._durable and wire.hasty:
            commits = "SET LOCAL synchronous_commit TO on; "
        return (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"{prelude(wire, self._place)}{commits}"
            f"SET LOCAL statement_timeout TO {left}"
            + "".join(f"; SELECT pg_advisory_xact_lock({one})" for one in numbers)
        )

    def _commit(self, wire: Wire) -> None:
        try:
            wire.run("COMMIT")
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
    with suppress(psycopg.Error, Late):
        wire.run("ROLLBACK")
        return
    wire.drop()
