"""What processes have seen of versions, for detectors that pool it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ..clock import Clock
from ._database import Connection, Database
from .protocol import BreakerCount

__all__ = ["SqlBreakerCounts"]

_KEEP: Final = 86_400.0
_PUT: Final = """
INSERT INTO breaker_counts VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key, process) DO UPDATE SET
  calls = excluded.calls, fails = excluded.fails, at = excluded.at
"""


class SqlBreakerCounts:
    """The counting half of `BreakerStore`.

    Args:
        database: The one with relaxed durability.
        clock: Stamps rows; those a day old are forgotten.
    """

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, process: str, totals: Mapping[str, tuple[int, int]]) -> None:
        """Write a process's totals by breaker key."""
        now = self._clock.time()
        # Sorted: two processes that lock the same rows in turn do not block each other.
        values = [(key, process, *both, now) for key, both in sorted(totals.items())]

        def job(connection: Connection) -> None:
            connection.executemany(_PUT, values)
            connection.execute(
                "DELETE FROM breaker_counts WHERE at < ?", (now - _KEEP,)
            )

        self._database.write(job, locks=())

    def read(self) -> Sequence[BreakerCount]:
        """Return every process's totals."""
        rows = self._database.read(
            "SELECT key, process, calls, fails FROM breaker_counts"
        )
        return [
            BreakerCount(key=r[0], process=r[1], calls=r[2], fails=r[3]) for r in rows
        ]
