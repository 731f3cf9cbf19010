"""Which open ticket a reviewer should take next."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ._database import Connection, Row
from ._ticket_rows import SELECT, record
from ._ticket_union import union
from .tickets import EVERY_ROLE, TicketRecord

__all__ = ["next_open"]

_KEYS = (
    "SELECT -t.priority AS urgency, coalesce(t.due_at, 1e300) AS due, t.id, t.queue, "
    "t.role FROM tickets t "
)
_NEXT = (
    "WHERE t.state = 'open' AND t.queue = ? AND t.role = ? "
    "AND t.assignee IN ('', ?) "
    "AND NOT (t.opinions > 0 AND EXISTS (SELECT 1 FROM ticket_opinions o "
    "WHERE o.ticket_id = t.id AND o.reviewer = ?)) "
)
_FRESH = (
    "AND NOT EXISTS (SELECT 1 FROM ticket_skips s "
    "WHERE s.ticket_id = t.id AND s.reviewer = ?) "
)
_ORDER = "ORDER BY t.priority DESC, coalesce(t.due_at, 1e300), t.id LIMIT 1"
_ANY_SKIPS = "SELECT 1 FROM ticket_skips WHERE reviewer = ? LIMIT 1"


def next_open(
    connection: Connection, *, queue: str | None, roles: Collection[str], reviewer: str
) -> TicketRecord | None:
    """Return the open ticket that this reviewer should take next.

    What they skipped comes after everything that they did not.
    """
    allowed = {"", *roles}
    places = connection.execute(
        "SELECT queue, role FROM ticket_counts WHERE state = 'open' AND n > 0 "
        "AND (CAST(? AS TEXT) IS NULL OR queue = ?)",
        (queue, queue),
    ).fetchall()
    free = [
        place for place in places if EVERY_ROLE in roles or place["role"] in allowed
    ]
    for sql in (_NEXT + _FRESH + _ORDER, _NEXT + _ORDER) if free else ():
        again = _FRESH not in sql
        if again and connection.execute(_ANY_SKIPS, (reviewer,)).fetchone() is None:
            break
        names = (reviewer,) * (2 if again else 3)
        ticket = _first(connection, sql, free, names)
        if ticket is not None:
            return ticket
    return None


def _first(
    connection: Connection, sql: str, places: Sequence[Row], names: Sequence[str]
) -> TicketRecord | None:
    if len(places) > 1:
        places = _by_urgency(connection, sql, places, names)
    for place in places:
        row = connection.execute(
            SELECT + sql + connection.dialect.skip_locked,
            (place["queue"], place["role"], *names),
        ).fetchone()
        if row is not None:
            return record(row)
    return None


def _by_urgency(
    connection: Connection, sql: str, places: Sequence[Row], names: Sequence[str]
) -> list[Row]:
    by_name = {(place["queue"], place["role"]): place for place in places}
    each = [(*name, *names) for name in by_name]
    firsts = sorted(tuple(row) for row in union(connection, _KEYS + sql, each))
    return [by_name[row[3], row[4]] for row in firsts]
