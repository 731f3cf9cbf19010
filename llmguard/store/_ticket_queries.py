"""What is asked about tickets without changing them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median

from ._database import Connection, Row
from ._ticket_rows import SELECT, record
from .tickets import WAITING, QueueStats, TicketRecord, TicketState

__all__ = ["counts", "find", "listing", "stats"]

_DAY = 86400.0
_SAMPLE = 10_000
_FOUND = 10


def find(reader: Connection, part: str) -> list[str]:
    """Return ids that begin or end with `part`, which may hold no wildcard."""
    if not part.isalnum():
        return []
    rows = reader.execute(
        "SELECT id FROM tickets WHERE lower(id) LIKE ? OR lower(id) LIKE ? "
        "ORDER BY id DESC LIMIT ?",
        (f"{part.lower()}%", f"%{part.lower()}", _FOUND),
    )
    return [row[0] for row in rows]


def listing(
    reader: Connection,
    *,
    queue: str | None,
    states: Collection[TicketState],
    limit: int,
) -> list[TicketRecord]:
    """Return tickets in the order of work, then closed ones, latest first."""
    waiting = [
        record(row)
        for state in sorted(WAITING & set(states))
        for row in _in_state(reader, queue, state, limit)
    ]
    waiting.sort(key=lambda one: (-one.priority, one.due_at or 1e300, one.id))
    closed = [
        record(row)
        for state in sorted(set(states) - WAITING)
        for row in _closed_in_state(reader, queue, state, limit)
    ]
    closed.sort(key=lambda one: (-(one.closed_at or 0.0), one.id))
    return [*waiting, *closed][:limit]


def _in_state(
    reader: Connection, queue: str | None, state: TicketState, limit: int
) -> Iterator[Row]:
    """Yield the first tickets of every place, each by its index."""
    places = reader.execute(
        "SELECT queue, role FROM ticket_counts WHERE state = ? AND n > 0 "
        "AND (CAST(? AS TEXT) IS NULL OR queue = ?)",
        (str(state), queue, queue),
    ).fetchall()
    for place in places:
        yield from reader.execute(
            # The state is spelled out so that the partial index applies.
            f"{SELECT} WHERE t.state = '{state}' AND t.queue = ? AND t.role = ? "
            "ORDER BY t.priority DESC, coalesce(t.due_at, 1e300), t.id LIMIT ?",
            (place["queue"], place["role"], limit),
        )


def _closed_in_state(
    reader: Connection, queue: str | None, state: TicketState, limit: int
) -> Iterator[Row]:
    yield from reader.execute(
        SELECT + "WHERE t.closed_at IS NOT NULL AND t.state = ? "
        "AND (CAST(? AS TEXT) IS NULL OR t.queue = ?) "
        "ORDER BY t.closed_at DESC LIMIT ?",
        (str(state), queue, queue, limit),
    )


def counts(reader: Connection, queue: str | None) -> Mapping[str, Mapping[str, int]]:
    """Return tickets per queue and state."""
    found: dict[str, dict[str, int]] = {}
    rows = reader.execute(
        "SELECT queue, state, sum(n) AS n FROM ticket_counts "
        "WHERE CAST(? AS TEXT) IS NULL OR queue = ? "
        "GROUP BY queue, state HAVING sum(n) > 0",
        (queue, queue),
    )
    for row in rows:
        found.setdefault(row["queue"], {})[row["state"]] = row["n"]
    return found


def stats(reader: Connection, queue: str | None, now: float) -> Sequence[QueueStats]:
    """Return how each queue does, by name."""
    return [
        _queue_stats(reader, name, states, now)
        for name, states in sorted(counts(reader, queue).items())
    ]


def _queue_stats(
    reader: Connection, queue: str, states: Mapping[str, int], now: float
) -> QueueStats:
    waiting = reader.execute(
        "SELECT min(created_at) AS oldest, "
        "coalesce(sum(CASE WHEN due_at < ? THEN 1 ELSE 0 END), 0) AS late "
        "FROM tickets WHERE queue = ? AND state IN ('open', 'claimed')",
        (now, queue),
    ).fetchone()
    closed = reader.execute(
        "SELECT first_claimed_at - created_at AS claim, closed_at - created_at AS "
        "close, losses, state FROM tickets "
        "WHERE closed_at >= ? AND queue = ? ORDER BY closed_at DESC LIMIT ?",
        (now - _DAY, queue, _SAMPLE),
    ).fetchall()
    decided = {TicketState.ANSWERED, TicketState.DELIVERED, TicketState.REJECTED}
    claims = [row["claim"] for row in closed if row["claim"] is not None]
    closes = [row["close"] for row in closed if row["state"] in decided]
    oldest = waiting["oldest"]
    return QueueStats(
        queue=queue,
        counts=dict(states),
        oldest=None if oldest is None else max(0.0, now - oldest),
        late=waiting["late"],
        to_claim=median(claims) if claims else None,
        to_close=median(closes) if closes else None,
        lease_losses=sum(row["losses"] for row in closed),
    )
