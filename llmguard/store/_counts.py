"""Counts over time, where the metrics are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..clock import Clock
from ._database import Connection, Database, Row
from .counts import HOUR, MINUTE, SPANS, TOTAL, TOTAL_ONLY, CountRow

__all__ = ["SqlCounts"]

_KEEP: Final = {MINUTE: 4 * 86_400, HOUR: 400 * 86_400}
_FORGET: Final = 7 * 86_400.0
_PRUNE: Final = 3600.0

_SOURCE: Final = (
    "INSERT INTO count_sources VALUES (?, ?, ?) ON CONFLICT (source) DO UPDATE SET "
    "number = excluded.number, at = excluded.at "
    "WHERE count_sources.number < excluded.number"
)
_ADD: Final = (
    "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (span, start, env, function, pin, tier, measure, label) "
    "DO UPDATE SET n = counts.n + excluded.n"
)
_CLAIM: Final = (
    "INSERT INTO claims VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
    "value = excluded.value, at = excluded.at "
    "WHERE claims.value <> excluded.value OR claims.at <= ?"
)
_OBJECTIVE: Final = (
    "INSERT INTO objectives VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (env, function, name) DO UPDATE SET "
    "body = excluded.body, at = excluded.at"
)
_LEASE: Final = (
    "INSERT INTO claims VALUES (?, '', ?) ON CONFLICT (name) DO UPDATE SET "
    "at = excluded.at WHERE claims.at <= ?"
)


class SqlCounts:
    """Implements `CountStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._pruned = 0.0

    def add(
        self,
        env: str,
        rows: Sequence[tuple[Sequence[str], int]],
        *,
        source: str,
        number: int,
        at: float,
    ) -> bool:
        """Add one batch in one transaction; False when it had been added before."""
        # Sorted: two processes that lock the same rows in turn do not block each other.
        values = sorted(
            (env, span, _start(at, span), *key, n)
            for key, n in rows
            for span in _spans(key[3])
        )
        prune = at - self._pruned >= _PRUNE

        def job(connection: Connection) -> bool:
            if connection.execute(_SOURCE, (source, number, at)).rowcount != 1:
                return False
            connection.executemany(_ADD, values)
            if prune:
                _prune(connection, at)
            return True

        written = self._database.write(job, locks=())
        self._pruned = at if prune else self._pruned
        return written

    def sums(
        self,
        env: str,
        *,
        since: float | None = None,
        function: str | None = None,
        span: int = MINUTE,
    ) -> Sequence[CountRow]:
        """Return sums from the minute or hour that `since` is in; None for totals."""
        span = TOTAL if since is None else span
        where, given = _where(env, function)
        sql = (
            "SELECT function, pin, tier, measure, label, sum(n) FROM counts "  # noqa: S608 - constants
            f"WHERE span = ? AND start >= ? AND {where} "
            "GROUP BY function, pin, tier, measure, label "
            "ORDER BY function, pin, tier, measure, label"
        )
        found = self._database.read(sql, (span, _start(since or 0.0, span), *given))
        return [_row(row, 0.0, 0) for row in found]

    def series(
        self, env: str, *, function: str, since: float, span: int = MINUTE
    ) -> Sequence[CountRow]:
        """Return the counts of each minute or hour since then, in order."""
        found = self._database.read(
            "SELECT start, function, pin, tier, measure, label, n FROM counts "
            "WHERE span = ? AND start >= ? AND env = ? AND function = ? "
            "ORDER BY start, pin, tier, measure, label",
            (span, _start(since, span), env, function),
        )
        return [_row(row, float(row[0]), 1) for row in found]

    def put_objectives(
        self, env: str, documents: Mapping[tuple[str, str], str], *, at: float
    ) -> None:
        """Keep what functions owe: by function and name, as JSON."""
        values = [(env, *key, body, at) for key, body in documents.items()]
        if not values:
            return
        self._database.write(
            lambda c: c.executemany(_OBJECTIVE, sorted(values)).rowcount, locks=()
        )

    def objectives(self, env: str) -> Mapping[tuple[str, str], str]:
        """Return the objectives of all functions, by function and name, as JSON."""
        rows = self._database.read(
            "SELECT function, name, body FROM objectives WHERE env = ? "
            "ORDER BY function, name",
            (env,),
        )
        return {(row[0], row[1]): row[2] for row in rows}

    def drop_objective(self, env: str, function: str, name: str) -> bool:
        """Forget an objective that no program declares any more."""
        sql = "DELETE FROM objectives WHERE env = ? AND function = ? AND name = ?"
        return self._changes(sql, (env, function, name))

    def claim(self, key: str, value: str, *, hold: float, fresh: bool = True) -> bool:
        """Take a key for `hold` seconds unless it was taken with the same value."""
        now = self._clock.time()
        if fresh:
            return self._changes(_CLAIM, (key, value, now, now - hold))
        sql = "UPDATE claims SET value = ?, at = ? WHERE name = ? AND value <> ?"
        return self._changes(sql, (value, now, key, value))

    def lease(self, key: str, *, hold: float) -> bool:
        """Take a key for `hold` seconds unless anyone has taken it."""
        now = self._clock.time()
        return self._changes(_LEASE, (key, now, now - hold))

    def _changes(self, sql: str, given: Sequence[object]) -> bool:
        return self._database.write(
            lambda c: c.execute(sql, given).rowcount == 1, locks=()
        )


def _row(row: Row, start: float, first: int) -> CountRow:
    function, pin, tier, measure, label, n = tuple(row)[first:]
    return CountRow(start, function, pin, tier, measure, label, int(n))


def _start(at: float, span: int) -> int:
    return 0 if span == TOTAL else int(at // span) * span


def _spans(measure: str) -> tuple[int, ...]:
    return (TOTAL,) if measure in TOTAL_ONLY else (*SPANS, TOTAL)


def _where(env: str, function: str | None) -> tuple[str, tuple[str, ...]]:
    if function is None:
        return "env = ?", (env,)
    return "env = ? AND function = ?", (env, function)


def _prune(connection: Connection, now: float) -> None:
    for span, keep in _KEEP.items():
        connection.execute(
            "DELETE FROM counts WHERE span = ? AND start < ?",
            (span, _start(now - keep, span)),
        )
    connection.execute("DELETE FROM count_sources WHERE at < ?", (now - _FORGET,))
