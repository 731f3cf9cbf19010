"""Statements on their way to the server: what can wait for company waits for it.

Each exchange with a server costs a round trip, however little is asked. So a statement
that only changes rows is kept until somebody wants to know what it did, or the next one
that reads comes along; they travel together, as do the start of a transaction and its
first statement, and the last changes and the commit.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg

from ._database import Cursor, Parameters
from ._pg_connect import Wire
from ._pg_errors import Late
from ._pg_sql import POSTGRESQL, Row, lock_number, translate

__all__ = ["PgConnection"]

_CHANGES = ("INSERT", "UPDATE", "DELETE")
_TOGETHER = psycopg.Pipeline.is_supported()
_MOST = 500  # statements that wait


class _Told(logging.Filter):
    """Keeps the driver from logging what is raised, translated, and dealt with."""

    def filter(self, record: logging.LogRecord) -> bool:
        first = record.args[0] if isinstance(record.args, tuple) and record.args else 0
        return not isinstance(getattr(first, "_conn", None), Wire)


logging.getLogger("psycopg").addFilter(_Told())


class _Later:
    """Implements `Cursor` for a statement that is sent when its result is wanted."""

    def __init__(self, connection: PgConnection, sql: bytes, values: Any) -> None:
        self._connection = connection
        self.sql, self.values = sql, values
        self.cursor: psycopg.Cursor[Row] | None = None

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        return self._sent().rowcount

    def fetchone(self) -> Any:
        """Return None: it returns no rows."""
        self._sent()

    def fetchall(self) -> list[Any]:
        """Return no rows."""
        self._sent()
        return []

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def _sent(self) -> psycopg.Cursor[Row]:
        if self.cursor is None:
            self._connection.flush()
        if self.cursor is None:
            raise psycopg.InterfaceError("the transaction of this statement ended")
        return self.cursor


class PgConnection:
    """Implements `Connection` on a lent connection.

    Args:
        wire: The connection.
        schema: Whose locks these are.
        start: Statements that begin the transaction; empty where there is none.
    """

    dialect = POSTGRESQL

    def __init__(self, wire: Wire, schema: str, start: Sequence[str] = ()) -> None:
        self._wire, self._schema = wire, schema
        self._start = [one.encode() for one in start]
        self._waiting: list[_Later] = []
        self._keeps = bool(start)

    @property
    def begun(self) -> bool:
        """Whether anything was sent, or waits to be."""
        return not self._start or bool(self._waiting)

    def execute(self, sql: str, parameters: Parameters = (), /) -> Cursor:
        """Run one statement with `?` or `:name` in place of its values."""
        text, values = translate(sql, parameters)
        if self._keeps and _only_changes(sql) and len(self._waiting) < _MOST:
            later = _Later(self, text, values or None)
            self._waiting.append(later)
            return later
        return self._send(text, values or None)

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor:
        """Run one statement for each set of values."""
        pairs = [translate(sql, one) for one in parameters]
        cursor = self._wire.cursor()
        if pairs:
            with self._together():
                cursor.executemany(pairs[0][0], [values for _, values in pairs])
        return cursor

    def alone(self, lock: str) -> None:
        """Wait until no other transaction holds `lock`, and hold it until the end."""
        number = lock_number(self._schema, lock)
        self._send(b"SELECT pg_advisory_xact_lock($1)", [number])

    def flush(self) -> None:
        """Send what waits."""
        with self._together():
            pass

    def give_up(self) -> None:
        """Forget what waits: its transaction will not be."""
        self._start.clear()
        self._waiting.clear()

    def commit(self) -> None:
        """Send what waits, and the commit with it."""
        with self._together():
            self._wire.execute(b"COMMIT", prepare=False)

    def _send(self, text: bytes, values: Sequence[Any] | None) -> Cursor:
        with self._together():
            return self._wire.execute(text, values)

    @contextmanager
    def _together(self) -> Generator[None]:
        """Send what waits; what is sent in the block has its result at the end."""
        start, self._start = self._start, []
        waiting, self._waiting = self._waiting, []
        alone = not (start or waiting)
        try:
            with nullcontext() if alone or not _TOGETHER else self._wire.pipeline():
                for sql in start:
                    self._wire.execute(sql, prepare=False)
                for one in waiting:
                    one.cursor = self._wire.execute(one.sql, one.values)
                yield
        except psycopg.OperationalError as error:
            # What ends an exchange that is under way complains about being late, too.
            if isinstance(error.__context__, Late):
                raise error.__context__ from None
            raise


def _only_changes(sql: str) -> bool:
    return sql.lstrip().startswith(_CHANGES) and "RETURNING" not in sql
