"""The audit in SQL: rows that nobody changes, and that a purge deletes when old."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..clock import Clock
from ._database import Connection, Database, where
from .access import AuditRow, NewAudit

__all__ = ["SqlAudit"]

_COLUMNS: Final = "at, actor, action, target, detail, address, outcome"
_INSERT: Final = f"INSERT INTO access_audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constants
_LONGEST: Final = 500
_SLICE: Final = 5_000


class SqlAudit:
    """The part of `AccessStore` that records what was done."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def audit(self, *rows: NewAudit) -> None:
        """Write rows durably, on a full disk too as long as there is ballast."""
        now = self._clock.time()
        values = [
            (
                *(now, one.actor[:_LONGEST], one.action, one.target[:_LONGEST]),
                *(one.detail[:_LONGEST], one.address, one.outcome),
            )
            for one in rows
        ]
        self._database.write(
            lambda c: c.executemany(_INSERT, values).rowcount, locks=(), spare=True
        )

    def audited(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        outcome: str | None = None,
        since: float | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[AuditRow]:
        """Return rows, the newest first; None for any."""
        below = action is not None and action.endswith(".")
        wanted, values = where(
            {
                "actor = ?": actor,
                "action = ?": None if below else action,
                # All actions below `login.` lie between it and `login/`.
                "action >= ?": action if below else None,
                "action < ?": f"{action[:-1]}/" if below and action else None,
                "target = ?": target,
                "outcome = ?": outcome,
                "at >= ?": since,
                "seq < ?": before,
            }
        )
        rows = self._database.read(
            f"SELECT seq, {_COLUMNS} FROM access_audit {wanted} "  # noqa: S608 - constants
            "ORDER BY seq DESC LIMIT ?",
            (*values, limit),
        )
        return [AuditRow(**dict(row)) for row in rows]

    def purge(self, *, audit_before: float, sessions_before: float) -> tuple[int, int]:
        """Delete rows of the audit and sessions that ended before; returns how many."""
        return (
            self._purged("access_audit", "seq", "at < ?", audit_before),
            self._purged("access_sessions", "digest", _OVER, sessions_before),
        )

    def _purged(self, table: str, key: str, condition: str, before: float) -> int:
        # In slices, so that nobody waits for a writer that deletes a year.
        sql = (
            f"DELETE FROM {table} WHERE {key} IN "  # noqa: S608 - constants
            f"(SELECT {key} FROM {table} WHERE {condition} LIMIT {_SLICE})"
        )

        def job(connection: Connection) -> int:
            return connection.execute(sql, (before,)).rowcount

        total = 0
        while done := self._database.write(job, locks=()):
            total += done
        return total


_OVER: Final = "coalesce(ended_at, expires_at) < ?"
