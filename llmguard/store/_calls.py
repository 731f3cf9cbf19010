"""Recent calls in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any, Final

from ..clock import Clock
from ._database import Connection, Database, Row, where
from .calls import CallFilter, CallGroup, CallRow

__all__ = ["SqlCalls"]

_TIDY: Final = 60.0

_COLUMNS: Final = (
    "id, at, env, function, route, pin, answered, tier, outcome, request, attempts, "
    "elapsed, content"
)
_ADD: Final = (
    f"INSERT INTO recent_calls ({_COLUMNS}) "  # noqa: S608 - constants
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_BODY: Final = (
    "INSERT INTO recent_call_bodies (id, at, body) VALUES (?, ?, ?) "
    "ON CONFLICT (id) DO NOTHING"
)
_SURPLUS: Final = "SELECT at FROM recent_calls ORDER BY at DESC LIMIT 1 OFFSET ?"
_GOOD_SURPLUS: Final = (
    "SELECT at FROM recent_calls WHERE outcome = 'ok' ORDER BY at DESC LIMIT 1 OFFSET ?"
)
_DROP_GOOD: Final = "DELETE FROM recent_calls WHERE outcome = 'ok' AND at <= ?"
_DROP_GOOD_BODIES: Final = (
    "DELETE FROM recent_call_bodies WHERE id IN "
    "(SELECT id FROM recent_calls WHERE outcome = 'ok' AND at <= ?)"
)
_REQUEST: Final = (
    f"(SELECT {_COLUMNS} FROM recent_calls WHERE request = ? "  # noqa: S608 - constants
    f"UNION SELECT {_COLUMNS} FROM recent_calls WHERE id = ?) found"
)
_GROUPS: Final = (
    "SELECT function, route, pin, tier, outcome, count(*) AS n FROM recent_calls "
    "WHERE env = ? GROUP BY function, route, pin, tier, outcome "
    "ORDER BY function, route, pin, tier, outcome"
)


class SqlCalls:
    """Implements `CallStore`.

    Args:
        database: The one with relaxed durability.
        clock: Says what is too old.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._tidied = 0.0

    def add(self, rows: Sequence[CallRow], *, most: int, keep: float) -> int:
        """Keep calls; those that are there already are left as they are."""
        # Sorted: two processes that lock the same rows in turn do not block each other.
        values = sorted(_values(row) for row in rows)
        bodies = sorted((row.id, row.at, row.body) for row in rows)
        now = self._clock.time()
        tidy = now - self._tidied >= _TIDY

        def job(connection: Connection) -> int:
            new = sum(connection.execute(_ADD, each).rowcount for each in values)
            connection.executemany(_BODY, bodies)
            if tidy:
                _drop_old(connection, most, now - keep)
            return new

        if not values:
            return 0
        added = self._database.write(job, locks=())
        self._tidied = now if tidy else self._tidied
        return added

    def list(
        self,
        env: str,
        wanted: CallFilter | None = None,
        *,
        before: tuple[float, str] | None = None,
        limit: int = 50,
    ) -> Sequence[CallRow]:
        """Return calls without their bodies, the newest first."""
        source, given = _source(wanted := wanted or CallFilter())
        sql, values = _wanted(env, wanted)
        if before is not None:
            sql += " AND (at < ? OR (at = ? AND id < ?))"
            values += [before[0], *before]
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM {source} {sql} "  # noqa: S608 - constants
            "ORDER BY at DESC, id DESC LIMIT ?",
            (*given, *values, limit),
        )
        return [_row(row) for row in rows]

    def get(self, call: str) -> CallRow | None:
        """Return a call by its id, with its body; None when it is not kept."""
        rows = self._database.read(
            f"SELECT {_COLUMNS}, (SELECT body FROM recent_call_bodies b "  # noqa: S608 - constants
            "WHERE b.id = recent_calls.id) AS body FROM recent_calls WHERE id = ?",
            (call,),
        )
        return _row(rows[0], body=rows[0]["body"] or "") if rows else None

    def groups(self, env: str) -> Sequence[CallGroup]:
        """Return how many calls are kept of each kind, by what can be searched for."""
        rows = self._database.read(_GROUPS, (env,))
        return [CallGroup(**dict(row)) for row in rows]

    def span(self, env: str) -> tuple[int, float, float]:
        """Return how many calls are kept, and `at` of the oldest and the newest."""
        rows = self._database.read(
            "SELECT count(*), min(at), max(at) FROM recent_calls WHERE env = ?", (env,)
        )
        n, first, last = tuple(rows[0])
        return int(n), float(first or 0.0), float(last or 0.0)


def _source(given: CallFilter) -> tuple[str, tuple[str, ...]]:
    """Return where to look, and its values: few rows where a request is named."""
    if given.request is None:
        return "recent_calls", ()
    return _REQUEST, (given.request, given.request)


def _wanted(env: str, given: CallFilter) -> tuple[str, list[object]]:
    plain = None if given.outcome == "not-ok" else given.outcome
    sql, values = where(
        {
            "env = ?": env,
            "function = ?": given.function,
            "route = ?": given.route,
            "outcome = ?": plain,
            "outcome <> ?": "ok" if given.outcome == "not-ok" else None,
            "tier = ?": given.tier,
            "at >= ?": given.since,
            "at <= ?": given.until,
        }
    )
    if given.pin is not None:
        sql += " AND (pin = ? OR answered = ?)"
        values += [given.pin, given.pin]
    return sql, values


def _drop_old(connection: Connection, most: int, before: float) -> None:
    """Drop what is too old, then good calls beyond half the room, then the oldest."""
    good = connection.execute(_GOOD_SURPLUS, (most // 2,)).fetchone()
    if good is not None:
        connection.execute(_DROP_GOOD_BODIES, (good[0],))
        connection.execute(_DROP_GOOD, (good[0],))
    surplus = connection.execute(_SURPLUS, (most,)).fetchone()
    # Those that began with the last one to go, too: at most a few more.
    for table in ("recent_calls", "recent_call_bodies"):
        connection.execute(f"DELETE FROM {table} WHERE at < ?", (before,))  # noqa: S608 - constants
        if surplus is not None:
            connection.execute(f"DELETE FROM {table} WHERE at <= ?", (surplus[0],))  # noqa: S608 - constants


def _values(row: CallRow) -> tuple[Any, ...]:
    return (*astuple(row)[:-2], int(row.content))


def _row(row: Row, *, body: str = "") -> CallRow:
    columns = {name: row[name] for name in _COLUMNS.replace(",", "").split()}
    columns["content"] = bool(columns["content"])
    return CallRow(**columns, body=body)
