"""How a ticket gets in: idempotency, coalescing, admission."""

from __future__ import annotations

from ._database import Connection
from ._ticket_rows import BODY, body_values
from ._ticket_steps import fetch, log, note, sweep
from .problems import IdempotencyError, QueueFullError
from .tickets import Enqueued, NewTicket, TicketRecord

__all__ = ["enqueue"]

_SWEEP = 1000
_CROWD = 256  # more callers than this are never between their count and their commit


def enqueue(
    connection: Connection, new: NewTicket, *, now: float, max_losses: int
) -> Enqueued:
    """Insert a ticket, or return the one that already stands for it."""
    known = connection.execute(
        "SELECT ticket_id FROM ticket_keys WHERE queue = ? AND key = ?",
        (new.queue, new.key),
    ).fetchone()
    if known is not None:
        return _repeat(connection, new, fetch(connection, known[0]), now)
    twin = _twin(connection, new, now) if new.coalesce else None
    if twin is not None:
        return _join(connection, new, twin, now)
    _admit(connection, new, now, max_losses)
    return _insert(connection, new, now)


def _repeat(
    connection: Connection, new: NewTicket, ticket: TicketRecord, now: float
) -> Enqueued:
    if ticket.fingerprint != new.fingerprint:
        raise IdempotencyError(
            f"key {new.key!r} in queue {new.queue!r} already stands for ticket "
            f"{ticket.id!r} with other content; use a new key for a new question"
        )
    if new.id != ticket.id:
        # The caller may have handed this id out while the store was down.
        _add_key(connection, new.queue, new.id, ticket.id, now)
    return Enqueued(ticket=ticket, created=False, coalesced=False)


def _twin(connection: Connection, new: NewTicket, now: float) -> TicketRecord | None:
    row = connection.execute(
        "SELECT t.id FROM tickets t "  # noqa: S608 - the dialect's suffix
        "WHERE t.queue = ? AND t.fingerprint = ? AND t.role = ? AND t.reviewers = ? "
        "AND t.assignee = ? "
        "AND t.state IN ('open', 'claimed') "
        "AND (t.state = 'claimed' OR t.expires_at IS NULL OR t.expires_at > ?) LIMIT 1"
        + connection.dialect.for_update,
        (new.queue, new.fingerprint, new.role, new.reviewers, new.assignee, now),
    ).fetchone()
    return None if row is None else fetch(connection, row[0])


def _join(
    connection: Connection, new: NewTicket, twin: TicketRecord, now: float
) -> Enqueued:
    """Let one more caller wait for a ticket, which becomes as urgent as both."""
    never = None in (twin.expires_at, new.expires_at)
    due = [at for at in (twin.due_at, new.due_at) if at is not None]
    connection.execute(
        "UPDATE tickets SET waiters = waiters + 1, priority = ?, due_at = ?, "
        "expires_at = ? WHERE id = ?",
        (
            max(twin.priority, new.priority),
            min(due, default=None),
            None if never else max(twin.expires_at or 0.0, new.expires_at or 0.0),
            twin.id,
        ),
    )
    _add_key(connection, new.queue, new.key, twin.id, now)
    _add_callback(connection, new, twin.id)
    note(
        connection,
        twin,
        now=now,
        event="coalesced",
        actor=new.function or "caller",
        detail=new.key,
    )
    return Enqueued(ticket=fetch(connection, twin.id), created=False, coalesced=True)


def _admit(connection: Connection, new: NewTicket, now: float, max_losses: int) -> None:
    if new.max_open is None:
        return
    if _waiting(connection, new.queue) < new.max_open - _CROWD:
        return
    connection.alone(f"queue {new.queue}")
    if _waiting(connection, new.queue) < new.max_open:
        return
    sweep(connection, now=now, max_losses=max_losses, limit=_SWEEP)
    if _waiting(connection, new.queue) >= new.max_open:
        raise QueueFullError(
            f"queue {new.queue!r} already holds {new.max_open} waiting tickets; answer "
            f"some (`llmguard queue list --queue {new.queue}`), or raise `max_open`",
            queue=new.queue,
            limit=new.max_open,
        )


def _waiting(connection: Connection, queue: str) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM ticket_counts "
        "WHERE queue = ? AND state IN ('open', 'claimed')",
        (queue,),
    ).fetchone()
    return int(row[0])


def _insert(connection: Connection, new: NewTicket, now: float) -> Enqueued:
    connection.execute(
        "INSERT INTO tickets (id, queue, state, role, priority, created_at, due_at, "
        "expires_at, fingerprint, assignee, reviewers) "
        "VALUES (?, ?, 'open', ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.id,
            new.queue,
            new.role,
            new.priority,
            now,
            new.due_at,
            new.expires_at,
            new.fingerprint,
            new.assignee,
            new.reviewers,
        ),
    )
    marks = ", ".join("?" * (1 + len(BODY)))
    connection.execute(
        f"INSERT INTO ticket_bodies (ticket_id, {', '.join(BODY)}) VALUES ({marks})",  # noqa: S608 - the names are ours
        (new.id, *body_values(new)),
    )
    _add_key(connection, new.queue, new.key, new.id, now)
    _add_callback(connection, new, new.id)
    log(
        connection,
        new.id,
        now=now,
        event="enqueued",
        change=("", "open"),
        actor=new.function or "caller",
    )
    return Enqueued(ticket=fetch(connection, new.id), created=True, coalesced=False)


def _add_callback(connection: Connection, new: NewTicket, ticket_id: str) -> None:
    if not new.callback:
        return
    # By the asking call's id: whoever repeats the call is told once.
    connection.execute(
        "INSERT INTO ticket_callbacks (id, ticket_id, queue, url, state) "
        "VALUES (?, ?, ?, ?, 'waiting')",
        (new.id, ticket_id, new.queue, new.callback),
    )
    connection.execute(
        "UPDATE tickets SET callbacks = callbacks + 1 WHERE id = ?", (ticket_id,)
    )


def _add_key(
    connection: Connection, queue: str, key: str, ticket_id: str, now: float
) -> None:
    connection.execute(
        "INSERT INTO ticket_keys VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (queue, key, ticket_id, now),
    )
