"""What processes applied, what providers served, how arms did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from ..clock import Clock
from ._database import NO_LIMIT, Connection, Database
from .traffic import (
    BUCKET,
    EXPOSED_UNITS,
    SPAN,
    AppliedRow,
    ArmRow,
    ExposureRow,
    ServedRow,
)

__all__ = ["SqlTraffic"]

_HOUR = 3600.0
_KEEP = 400 * 86400.0
"""A year and a month: "what ran at T?" is asked long after."""
_TIDY = 3600.0

_APPLIED = """
INSERT INTO applied
  (process, env, at, last_at, rev, experiments_rev, lock, stale)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (process, env, at) DO UPDATE SET
  last_at = CASE WHEN excluded.last_at > applied.last_at
    THEN excluded.last_at ELSE applied.last_at END
"""
_SERVED = """
INSERT INTO served
  (env, route, bucket, pin, process, model, fingerprint, verdict, n, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (env, route, bucket, pin, process, model, fingerprint, verdict)
DO UPDATE SET
  n = served.n + excluded.n,
  last_at = CASE WHEN excluded.last_at > served.last_at
    THEN excluded.last_at ELSE served.last_at END
"""
_ARMS = """
INSERT INTO arms (env, experiment, hour, arm, pin, measure, n, total)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (env, experiment, hour, arm, pin, measure) DO UPDATE SET
  n = arms.n + excluded.n,
  total = arms.total + excluded.total
"""
_EXPOSED = "SELECT count(*) FROM exposures WHERE env = ? AND experiment = ?"
_KNOWN = "SELECT 1 FROM exposures WHERE env = ? AND experiment = ? AND unit = ?"
_EXPOSURES = """
INSERT INTO exposures
  (env, experiment, unit, arm, pin, rev, first_at, last_at, n)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (env, experiment, unit, arm) DO UPDATE SET
  n = exposures.n + excluded.n,
  last_at = CASE WHEN excluded.last_at > exposures.last_at
    THEN excluded.last_at ELSE exposures.last_at END
"""
_APPLIED_AT = """
SELECT a.process, a.env, a.at, a.last_at, a.rev, a.experiments_rev, a.lock, a.stale
FROM applied a JOIN (
  SELECT process, max(at) AS at FROM applied
  WHERE env = ? AND at <= ? AND at > ? GROUP BY process
) newest ON a.process = newest.process AND a.at = newest.at
WHERE a.env = ? ORDER BY a.process
"""
_SERVED_AT = (
    "SELECT process, env, route, pin, model, fingerprint, verdict, n, last_at "
    "FROM served WHERE env = ? AND route = ? AND bucket = ? "
    "ORDER BY pin, process, model, fingerprint"
)


class SqlTraffic:
    """Implements `TrafficStore`.

    Args:
        database: The one with relaxed durability.
        clock: Says what is too old.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._tidied = 0.0

    def add_applied(self, rows: Sequence[AppliedRow]) -> None:
        """Write transitions, or move the end of those that are there."""
        values = [(*astuple(row)[:-1], int(row.stale)) for row in rows]
        now = self._clock.time()
        tidy = now - self._tidied >= _TIDY

        def job(connection: Connection) -> None:
            connection.executemany(_APPLIED, sorted(values))
            if tidy:
                _drop_old(connection, now - _KEEP)

        if values:
            self._database.write(job, locks=())
            self._tidied = now if tidy else self._tidied

    def add_served(self, rows: Sequence[ServedRow]) -> None:
        """Merge one process's increments."""
        self._merge(_SERVED, [_served_values(row) for row in rows])

    def add_arms(self, rows: Sequence[ArmRow]) -> None:
        """Merge increments."""
        self._merge(_ARMS, [_arm_values(row) for row in rows])

    def add_exposures(self, rows: Sequence[ExposureRow]) -> None:
        """Merge increments; beyond `EXPOSED_UNITS` new units are left out."""

        def job(connection: Connection) -> None:
            for row in sorted(rows, key=lambda one: astuple(one)[:4]):
                about = (row.env, row.experiment)
                known = connection.execute(_KNOWN, (*about, row.unit)).fetchone()
                if known is None:
                    held = connection.execute(_EXPOSED, about).fetchone()
                    if held[0] >= EXPOSED_UNITS:
                        continue
                connection.execute(_EXPOSURES, astuple(row))

        if rows:
            self._database.write(job, locks=())

    def applied(self, env: str, *, at: float) -> Sequence[AppliedRow]:
        """Return the last row of each process that began in the two `SPAN`s before."""
        rows = self._database.read(_APPLIED_AT, (env, at, at - 2 * SPAN, env))
        return [_applied(dict(row)) for row in rows]

    def served(self, env: str, route: str, *, at: float) -> Sequence[ServedRow]:
        """Return what was served in the five minutes that `at` falls into."""
        rows = self._database.read(_SERVED_AT, (env, route, int(at // BUCKET)))
        return [ServedRow(**dict(row)) for row in rows]

    def seen(self, env: str, pin: str, *, since: float) -> Sequence[tuple[str, str]]:
        """Return the pairs of echoed model and fingerprint of a pin."""
        rows = self._database.read(
            "SELECT DISTINCT model, fingerprint FROM served WHERE env = ? AND pin = ? "
            "AND bucket >= ? ORDER BY model, fingerprint",
            (env, pin, int(since // BUCKET)),
        )
        return [(row[0], row[1]) for row in rows]

    def arms(
        self, env: str, experiment: str, *, since: float = 0.0
    ) -> Sequence[ArmRow]:
        """Return the measures of an experiment, summed over hours."""
        rows = self._database.read(
            "SELECT arm, pin, measure, sum(n) AS n, sum(total) AS total, "
            "max(hour) AS hour FROM arms WHERE env = ? AND experiment = ? "
            "AND hour >= ? GROUP BY arm, pin, measure ORDER BY arm, pin, measure",
            (env, experiment, int(since // _HOUR)),
        )
        return [
            ArmRow(
                env=env,
                experiment=experiment,
                arm=row["arm"],
                pin=row["pin"],
                measure=row["measure"],
                n=int(row["n"]),
                total=float(row["total"]),
                at=row["hour"] * _HOUR,
            )
            for row in rows
        ]

    def exposures(
        self, env: str, experiment: str, *, limit: int = 1000
    ) -> Sequence[ExposureRow]:
        """Return who met which arm, by unit."""
        rows = self._database.read(
            "SELECT env, experiment, unit, arm, pin, rev, first_at, last_at, n "
            "FROM exposures WHERE env = ? AND experiment = ? "
            "ORDER BY unit, arm LIMIT ?",
            (env, experiment, min(limit, NO_LIMIT)),
        )
        return [ExposureRow(**dict(row)) for row in rows]

    def exposed(self, env: str, experiment: str) -> dict[str, int]:
        """Return how many units met each arm."""
        rows = self._database.read(
            "SELECT arm, count(*) FROM exposures WHERE env = ? AND experiment = ? "
            "GROUP BY arm ORDER BY arm",
            (env, experiment),
        )
        return {row[0]: int(row[1]) for row in rows}

    def switched(self, env: str, experiment: str) -> int:
        """Return how many units met more than one arm."""
        rows = self._database.read(
            "SELECT count(*) FROM (SELECT unit FROM exposures WHERE env = ? AND "
            "experiment = ? GROUP BY unit HAVING count(*) > 1) moved",
            (env, experiment),
        )
        return int(rows[0][0])

    def _merge(self, sql: str, values: list[tuple[Any, ...]]) -> None:
        # Sorted: two processes that lock the same rows in turn do not block each other.
        if values:
            self._database.write(
                lambda connection: connection.executemany(sql, sorted(values)),
                locks=(),
            )


def _drop_old(connection: Connection, before: float) -> None:
    connection.execute("DELETE FROM applied WHERE last_at < ?", (before,))
    # All rows of these tables: once an hour and process, and a year is a long time.
    connection.execute("DELETE FROM served WHERE bucket < ?", (int(before // BUCKET),))
    connection.execute("DELETE FROM arms WHERE hour < ?", (int(before // _HOUR),))
    connection.execute("DELETE FROM exposures WHERE last_at < ?", (before,))


def _applied(columns: dict[str, Any]) -> AppliedRow:
    columns["stale"] = bool(columns["stale"])
    return AppliedRow(**columns)


def _served_values(row: ServedRow) -> tuple[Any, ...]:
    return (
        row.env,
        row.route,
        int(row.last_at // BUCKET),
        row.pin,
        row.process,
        row.model,
        row.fingerprint,
        row.verdict,
        row.n,
        row.last_at,
    )


def _arm_values(row: ArmRow) -> tuple[Any, ...]:
    return (
        row.env,
        row.experiment,
        int(row.at // _HOUR),
        row.arm,
        row.pin,
        row.measure,
        row.n,
        row.total,
    )
