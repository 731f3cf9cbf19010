"""Counts and heartbeats, apart from what must be durable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..clock import Clock
from ._damaged import readable
from ._database import Connection, Database

__all__ = ["SqlActivity"]

_MINUTE = 60.0
_KEEP = 14 * 86400.0  # what `status` may look back on; the monitor keeps its own
_FORGET = 86400.0  # a process silent for a day is gone

_ADD = """
INSERT INTO activity VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (minute, function, tier, pin, kind) DO UPDATE SET
  n = activity.n + excluded.n,
  last_at = CASE WHEN excluded.last_at > activity.last_at
    THEN excluded.last_at ELSE activity.last_at END,
  total_elapsed = activity.total_elapsed + excluded.total_elapsed
"""
_SUM = """
SELECT function, tier, pin, kind, sum(n) AS n, max(last_at) AS last_at,
  sum(total_elapsed) AS total_elapsed
FROM activity WHERE minute >= ?
GROUP BY function, tier, pin, kind ORDER BY function, tier, pin, kind
"""


class SqlActivity:
    """Implements `ActivityStore`.

    Counts are kept per minute for 14 days; `since` is rounded down to its minute.

    Args:
        database: The one with relaxed durability.
        clock: Stamps heartbeats.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add_activity(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Merge one process's increments."""
        # Sorted: two processes that lock the same rows in turn do not block each other.
        values = sorted(_values(cast("Mapping[str, Any]", row)) for row in rows)
        if values:
            self._database.write(
                lambda connection: connection.executemany(_ADD, values).rowcount,
                locks=(),
            )

    def beat(self, process: str, info: Mapping[str, object]) -> None:
        """Record that `process` is alive, and forget what is too old."""
        now = self._clock.time()
        text = json.dumps(dict(info), default=str)

        def job(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO processes VALUES (?, ?, ?) ON CONFLICT (process) "
                "DO UPDATE SET at = excluded.at, info = excluded.info",
                (process, now, text),
            )
            connection.execute("DELETE FROM processes WHERE at < ?", (now - _FORGET,))
            connection.execute(
                "DELETE FROM activity WHERE minute < ?", (_minute(now - _KEEP),)
            )

        self._database.write(job, locks=())

    def activity(self, *, since: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Return merged counts per function, tier, pin and kind."""
        return [dict(row) for row in self._database.read(_SUM, (_minute(since),))]

    def processes(self) -> Sequence[Mapping[str, object]]:
        """Return the last heartbeat of every process: `process`, `at`, `info`."""
        rows = self._database.read("SELECT * FROM processes ORDER BY process")
        with readable("what a process told of itself"):
            return [{**dict(row), "info": json.loads(row["info"])} for row in rows]


def _minute(at: float) -> int:
    return int(at // _MINUTE)


def _values(row: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        _minute(float(row["last_at"])),
        row["function"],
        row["tier"],
        row["pin"],
        str(row["kind"]),
        row["n"],
        row["last_at"],
        row["total_elapsed"],
    )
