"""The event log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from ..clock import Clock
from ._damaged import readable
from ._database import Connection, Database, Row, where
from .events import Event

__all__ = ["SqlEvents"]

_COLUMNS = "seq, at, env, route, pin, kind, process, detail"
_INSERT = (
    "INSERT INTO events (at, env, route, pin, kind, process, detail, once) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (once) DO NOTHING RETURNING seq"
)
_LOCKS = ("events",)


class SqlEvents:
    """Implements `EventStore`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def add(self, event: Event, *, once: str = "") -> Event | None:
        """Write an event durably; None when it was there under `once`."""
        at = event.at or self._clock.time()
        detail = json.dumps(dict(event.detail), ensure_ascii=False, sort_keys=True)
        names = (event.env, event.route, event.pin, event.kind, event.process)

        def job(connection: Connection) -> Event | None:
            rows = connection.execute(_INSERT, (at, *names, detail, once or None))
            found = rows.fetchone()
            return None if found is None else replace(event, at=at, seq=found[0])

        # In the order of `seq`, so that nobody who reads on after one misses another.
        return self._database.write(job, locks=_LOCKS)

    def list(
        self,
        *,
        env: str | None = None,
        route: str | None = None,
        pin: str | None = None,
        kind: str | None = None,
        since: float | None = None,
        until: float | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[Event]:
        """Return events in the order they were written; None for any."""
        below = kind is not None and kind.endswith(".")
        bounds: dict[str, object] = {
            "seq > ?": after,
            # Nearly all rows are of one environment: an index on that alone would only
            # have them sorted again. The expression keeps SQLite from taking it.
            "env = ?" if route is not None else "env || '' = ?": env,
            "route = ?": route,
            "pin = ?": pin,
            "kind = ?": None if below else kind,
            # All kinds below `echo.` lie between it and `echo/`, the next sign.
            "kind >= ?": kind if below else None,
            "kind < ?": f"{kind[:-1]}/" if below and kind else None,
            "at >= ?": since,
            "at <= ?": until,
        }
        wanted, values = where(bounds)
        sql = f"SELECT {_COLUMNS} FROM events {wanted} ORDER BY seq"  # noqa: S608 - constants
        sql += " DESC" if newest_first else ""
        sql += "" if limit is None else f" LIMIT {int(limit)}"
        rows = self._database.read(sql, values)
        return [_event(row) for row in rows]


def _event(row: Row) -> Event:
    with readable(f"event {row['seq']!r}"):
        return Event(
            seq=row["seq"],
            at=row["at"],
            env=row["env"],
            route=row["route"],
            pin=row["pin"],
            kind=row["kind"],
            process=row["process"],
            detail=json.loads(row["detail"]),
        )
