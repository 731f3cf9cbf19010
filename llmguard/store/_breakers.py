"""Published breaker states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ._database import Connection, Database, Row
from .protocol import BreakerRow

__all__ = ["SqlBreakers"]

_COLUMNS = "key, state, reason, since, until, rev, actor"
_INSERT = "INSERT INTO breakers VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_UPDATE = (
    "UPDATE breakers SET state = ?, reason = ?, since = ?, until = ?, rev = ?, "
    "actor = ? WHERE key = ? AND rev = ?"
)


class SqlBreakers:
    """Implements `BreakerStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_breaker(self, key: str) -> BreakerRow | None:
        """Return the row, or None when nothing was ever published."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM breakers WHERE key = ?",  # noqa: S608 - constants
            (key,),
        )
        return _row(rows[0]) if rows else None

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        """Write `row` if the stored `rev` equals `row.rev`; return it with rev + 1."""
        written = replace(row, rev=row.rev + 1)

        def job(connection: Connection) -> BreakerRow | None:
            values = (row.state, row.reason, row.since, row.until, written.rev)
            if row.rev:
                condition = (row.actor, row.key, row.rev)
                changed = connection.execute(_UPDATE, (*values, *condition))
            else:
                changed = connection.execute(_INSERT, (row.key, *values, row.actor))
            if changed.rowcount != 1:
                return None
            connection.execute(
                "UPDATE revisions SET rev = rev + 1 WHERE topic = 'breakers'"
            )
            return written

        return self._database.write(job, locks=())

    def list_breakers(self) -> Sequence[BreakerRow]:
        """Return every row, sorted by key."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM breakers ORDER BY key")  # noqa: S608 - constants
        return [_row(row) for row in rows]

    def breakers_rev(self) -> int:
        """Return a number that changes whenever any row changes; cheap to poll."""
        rows = self._database.read("SELECT rev FROM revisions WHERE topic = 'breakers'")
        return int(rows[0][0])


def _row(row: Row) -> BreakerRow:
    return BreakerRow(
        key=row["key"],
        state=row["state"],
        reason=row["reason"],
        since=row["since"],
        until=row["until"],
        rev=row["rev"],
        actor=row["actor"],
    )
