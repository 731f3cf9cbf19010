"""Baselines and figures of the monitor in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Final

from ..clock import Clock
from ._database import Connection, Database, where
from .monitoring import BaselineRow, SketchRow

__all__ = ["SqlMonitor"]

_HOUR: Final = 3600.0
_KEEP: Final = 400 * 24
_LOCKS: Final = ("monitor",)

_BASELINE = "env, function, pin, extractor, digest, outputs, at, body"
_PUT = (
    f"INSERT INTO monitor_baselines ({_BASELINE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - constants
    "ON CONFLICT (env, function, pin) DO "
)
_OVER = (
    "UPDATE SET extractor = excluded.extractor, digest = excluded.digest, "
    "outputs = excluded.outputs, at = excluded.at, body = excluded.body"
)
_ROW = (
    "INSERT INTO monitor_rows (env, function, pin, extractor, place, at, body) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_SITE = "env = ? AND function = ? AND pin = ?"
_SKETCH = (
    "INSERT INTO monitor_sketches (env, function, pin, hour, body) "
    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (env, function, pin, hour) "
    "DO UPDATE SET body = excluded.body"
)


class SqlMonitor:
    """Implements `MonitorStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def put_baseline(self, row: BaselineRow, *, replace: bool = False) -> bool:
        """Freeze a baseline; False when the version has one and it is to stay."""
        sql = _PUT + (_OVER if replace else "NOTHING")
        site = (row.env, row.function, row.pin)

        def job(connection: Connection) -> bool:
            written = connection.execute(sql, astuple(row)).rowcount == 1
            connection.execute(f"DELETE FROM monitor_rows WHERE {_SITE}", site)  # noqa: S608 - constants
            return written

        return self._database.write(job, locks=_LOCKS)

    def get_baseline(self, env: str, function: str, pin: str) -> BaselineRow | None:
        """Return the baseline of a version, or None."""
        rows = self._database.read(
            f"SELECT {_BASELINE} FROM monitor_baselines WHERE {_SITE}",  # noqa: S608 - constants
            (env, function, pin),
        )
        return BaselineRow(**dict(rows[0])) if rows else None

    def list_baselines(
        self, env: str, *, function: str | None = None
    ) -> Sequence[BaselineRow]:
        """Return baselines with empty bodies, the newest first."""
        conditions, given = where({"env = ?": env, "function = ?": function})
        rows = self._database.read(
            "SELECT env, function, pin, extractor, digest, outputs, at, '' AS body "  # noqa: S608 - constants
            f"FROM monitor_baselines {conditions} ORDER BY at DESC, function, pin",
            given,
        )
        return [BaselineRow(**dict(row)) for row in rows]

    def drop_baseline(self, env: str, function: str, pin: str) -> bool:
        """Forget a baseline; False without one."""
        sql = f"DELETE FROM monitor_baselines WHERE {_SITE}"  # noqa: S608 - constants
        return self._database.write(
            lambda c: c.execute(sql, (env, function, pin)).rowcount == 1, locks=_LOCKS
        )

    def learn(
        self,
        env: str,
        function: str,
        pin: str,
        extractor: str,
        rows: Sequence[tuple[float, str]],
        *,
        most: int,
    ) -> int:
        """Keep outputs, at most `most`; return how many there are of this extractor."""
        site = (env, function, pin)

        def job(connection: Connection) -> int:
            connection.execute(
                f"DELETE FROM monitor_rows WHERE {_SITE} AND extractor <> ?",  # noqa: S608 - constants
                (*site, extractor),
            )
            found = connection.execute(
                f"SELECT count(*) FROM monitor_rows WHERE {_SITE}",  # noqa: S608 - constants
                site,
            ).fetchone()
            there = int(found[0])
            fitting = rows[: max(most - there, 0)]
            connection.executemany(
                _ROW,
                [
                    (*site, extractor, there + i, at, body)
                    for i, (at, body) in enumerate(fitting)
                ],
            )
            return there + len(fitting)

        return self._database.write(job, locks=_LOCKS)

    def learnt(
        self, env: str, function: str, pin: str, extractor: str
    ) -> Sequence[tuple[float, str]]:
        """Return the outputs kept so far, in the order of time."""
        rows = self._database.read(
            f"SELECT at, body FROM monitor_rows WHERE {_SITE} AND extractor = ? "  # noqa: S608 - constants
            "ORDER BY at, place",
            (env, function, pin, extractor),
        )
        return [(row["at"], row["body"]) for row in rows]

    def add_sketch(self, row: SketchRow, merge: Callable[[str, str], str]) -> None:
        """Add figures to those of the same hour, and forget hours that are too old."""
        key = (row.env, row.function, row.pin, row.hour)
        oldest = int(self._clock.time() // _HOUR) - _KEEP

        def job(connection: Connection) -> None:
            found = connection.execute(
                f"SELECT body FROM monitor_sketches WHERE {_SITE} AND hour = ?",  # noqa: S608 - constants
                key,
            ).fetchone()
            body = row.body if found is None else merge(found[0], row.body)
            connection.execute(_SKETCH, (*key, body))
            connection.execute("DELETE FROM monitor_sketches WHERE hour < ?", (oldest,))

        self._database.write(job, locks=_LOCKS)

    def sketches(
        self, env: str, *, since: float = 0.0, function: str | None = None
    ) -> Sequence[SketchRow]:
        """Return the hours from that of the epoch second `since` on, in order."""
        wanted = {
            "env = ?": env,
            "hour >= ?": int(since // _HOUR),
            "function = ?": function,
        }
        conditions, given = where(wanted)
        rows = self._database.read(
            "SELECT env, function, pin, hour, body FROM monitor_sketches "  # noqa: S608 - constants
            f"{conditions} ORDER BY hour, function, pin",
            given,
        )
        return [SketchRow(**dict(row)) for row in rows]
