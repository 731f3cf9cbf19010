"""Shadow runs in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields
from typing import Any

from ..clock import Clock
from ._database import Connection, Database
from .shadow import ShadowCount, ShadowPair, ShadowRun, ShadowTally

__all__ = ["SqlShadow"]

_RUN = (
    "id, env, subject, pin, origin, options, started_at, calls_limit, cost_limit, "
    "state, reason, actor, stopped_at, calls, cost"
)
_START = (
    f"INSERT INTO shadow_runs ({_RUN}) VALUES "  # noqa: S608 - constants
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_STOP = (
    "UPDATE shadow_runs SET state = 'stopped', reason = ?, actor = ?, stopped_at = ? "
    "WHERE id = ? AND state = 'running'"
)
# It changes nothing, but whoever comes second waits for whoever came first.
_HOLD = "UPDATE shadow_runs SET calls = calls WHERE id = ?"
_BUDGET = "SELECT state, calls, calls_limit, cost, cost_limit FROM shadow_runs "
_COUNT = (
    "INSERT INTO shadow_counts (run, function, incumbent, stratum, name, n, total) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run, function, incumbent, stratum, name) DO UPDATE SET "
    "n = shadow_counts.n + excluded.n, total = shadow_counts.total + excluded.total"
)
_TALLY = (
    "INSERT INTO shadow_tallies (run, function, incumbent, process, body, at) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run, function, incumbent, process) "
    "DO UPDATE SET body = excluded.body, at = excluded.at"
)
_GONE = (
    "DELETE FROM shadow_tallies WHERE run = ? AND function = ? AND incumbent = ? "
    "AND process = ? AND at = ?"
)
_PAIR = (
    "INSERT INTO shadow_pairs (id, run, function, incumbent, stratum, at, rung, "
    "direction, content, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO NOTHING"
)
_PAIRS = (
    "SELECT id, run, function, incumbent, stratum, at, rung, direction, content, body "
    "FROM shadow_pairs WHERE run = ? AND rung >= ? "
    "ORDER BY CASE WHEN rung = 0 THEN 9 ELSE rung END, at DESC, id LIMIT ? OFFSET ?"
)
# What does not part goes first, then the oldest.
_TRIM = (
    "DELETE FROM shadow_pairs WHERE id IN (SELECT id FROM shadow_pairs WHERE run = ? "
    "ORDER BY CASE WHEN rung = 0 THEN 1 ELSE 0 END, at DESC, id LIMIT ? OFFSET ?)"
)
_MANY = 1_000_000


class _ChangedError(Exception):
    """Undoes a job; never leaves this module."""


class SqlShadow:
    """Implements `ShadowStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def start(self, run: ShadowRun) -> bool:
        """Write a new run durably; False when its id is there already."""
        values = astuple(run)
        return self._database.write(
            lambda connection: connection.execute(_START, values).rowcount == 1,
            locks=(),
        )

    def get(self, run: str) -> ShadowRun | None:
        """Return a run by its id."""
        rows = self._database.read(
            f"SELECT {_RUN} FROM shadow_runs WHERE id = ?",  # noqa: S608 - constants
            (run,),
        )
        return ShadowRun(**dict(rows[0])) if rows else None

    def runs(
        self, *, env: str | None = None, running: bool = False, limit: int | None = 100
    ) -> Sequence[ShadowRun]:
        """Return runs, the newest first."""
        conditions = {"env = ?": env, "state = ?": "running" if running else None}
        given = {sql: value for sql, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)} " if given else ""
        rows = self._database.read(
            f"SELECT {_RUN} FROM shadow_runs {where}"  # noqa: S608 - constants
            f"ORDER BY started_at DESC, id {'' if limit is None else 'LIMIT ?'}",
            (*given.values(), *(() if limit is None else (limit,))),
        )
        return [ShadowRun(**dict(row)) for row in rows]

    def stop(self, run: str, *, reason: str, actor: str) -> bool:
        """End a run; False when it was not running."""
        values = (reason, actor, self._clock.time(), run)
        return self._database.write(
            lambda connection: connection.execute(_STOP, values).rowcount == 1,
            locks=(),
        )

    def reserve(self, run: str, calls: int) -> int:
        """Take up to `calls` calls out of the budget; negative ones give back."""
        return self._database.write(
            lambda connection: _reserve(connection, run, calls), locks=()
        )

    def add(
        self,
        run: str,
        *,
        counts: Sequence[ShadowCount] = (),
        tallies: Sequence[ShadowTally] = (),
        pairs: Sequence[ShadowPair] = (),
        cost: float = 0.0,
        keep: int = 5_000,
    ) -> None:
        """Merge what one process has gathered on one run."""

        def job(connection: Connection) -> None:
            # Always in one order, so that two processes never wait for each other.
            ordered = sorted((_values(one) for one in counts), key=lambda v: v[:5])
            connection.executemany(_COUNT, ordered)
            connection.executemany(_TALLY, [_values(one) for one in tallies])
            connection.executemany(_PAIR, [_values(one) for one in pairs])
            if pairs:
                connection.execute(_TRIM, (run, _MANY, keep))
            if cost:
                connection.execute(
                    "UPDATE shadow_runs SET cost = cost + ? WHERE id = ?", (cost, run)
                )

        self._database.write(job, locks=())

    def counts(self, run: str) -> Sequence[ShadowCount]:
        """Return the counts of a run."""
        rows = self._database.read(
            "SELECT run, function, incumbent, stratum, name, n, total "
            "FROM shadow_counts WHERE run = ? "
            "ORDER BY function, incumbent, stratum, name",
            (run,),
        )
        return [ShadowCount(**dict(row)) for row in rows]

    def tallies(self, run: str) -> Sequence[ShadowTally]:
        """Return the tallies of a run, one for each process."""
        rows = self._database.read(
            "SELECT run, function, incumbent, process, body, at FROM shadow_tallies "
            "WHERE run = ? ORDER BY function, incumbent, process",
            (run,),
        )
        return [ShadowTally(**dict(row)) for row in rows]

    def fold_tallies(self, gone: Sequence[ShadowTally], into: ShadowTally) -> bool:
        """Replace tallies of processes that are gone by one that holds their sum."""

        def job(connection: Connection) -> None:
            for one in gone:
                key = (one.run, one.function, one.incumbent, one.process, one.at)
                if connection.execute(_GONE, key).rowcount != 1:
                    raise _ChangedError
            connection.execute(_TALLY, _values(into))

        try:
            self._database.write(job, locks=())
        except _ChangedError:
            return False
        return True

    def pairs(
        self, run: str, *, parted: bool = False, limit: int = 1_000, offset: int = 0
    ) -> Sequence[ShadowPair]:
        """Return pairs, the most severe and then the newest first."""
        given = (run, 1 if parted else 0, limit, offset)
        rows = self._database.read(_PAIRS, given)
        return [_pair(dict(row)) for row in rows]

    def purge(self, run: str, *, before: float) -> int:
        """Delete pairs older than `before`, epoch seconds; returns how many."""
        return self._database.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM shadow_pairs WHERE run = ? AND at < ?", (run, before)
                ).rowcount
            )
        )


def _pair(row: dict[str, Any]) -> ShadowPair:
    row["content"] = bool(row["content"])
    return ShadowPair(**row)


def _values(row: ShadowCount | ShadowTally | ShadowPair) -> tuple[Any, ...]:
    found = tuple(getattr(row, each.name) for each in fields(row))
    return tuple(int(each) if isinstance(each, bool) else each for each in found)


def _reserve(connection: Connection, run: str, wanted: int) -> int:
    connection.execute(_HOLD, (run,))
    row = connection.execute(_BUDGET + "WHERE id = ?", (run,)).fetchone()
    if row is None:
        return 0
    state, used, limit, cost, cost_limit = tuple(row)
    if wanted > 0:
        if state != "running" or (cost_limit is not None and cost >= cost_limit):
            return 0
        if limit is not None:
            wanted = max(0, min(wanted, limit - used))
    granted = max(wanted, -int(used))
    connection.execute(
        "UPDATE shadow_runs SET calls = calls + ? WHERE id = ?", (granted, run)
    )
    return granted
