"""The steps of a ticket, each one conditional update and one event row.

They run inside the writer's transaction (`BEGIN IMMEDIATE`), so what they read is
still true when they write; the condition on every update keeps them right on a
database where it would not be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection

from ._ids import new_token
from ._ticket_rows import SELECT, record
from .problems import (
    LeaseLostError,
    RoleRequiredError,
    TicketStateError,
    TicketUnknownError,
)
from .tickets import CLOSED, TicketRecord, TicketState

__all__ = [
    "claim",
    "entitle",
    "fetch",
    "lapse",
    "log",
    "move",
    "next_open",
    "row_of",
    "sweep",
    "unknown",
]


def unknown(ticket_id: str) -> TicketUnknownError:
    """Return the error for an id that no ticket has."""
    return TicketUnknownError(
        f"no ticket {ticket_id!r} in this store; `llmguard queue list --all` shows "
        "what there is, and `LLMGUARD_STORE` which store is read"
    )


def row_of(connection: sqlite3.Connection, ticket_id: str) -> sqlite3.Row | None:
    """Return the row of a ticket, by id or by one of its idempotency keys."""
    found: sqlite3.Row | None = connection.execute(
        SELECT + "WHERE t.id = ?", (ticket_id,)
    ).fetchone()
    return (
        found
        or connection.execute(
            SELECT  # noqa: S608 - a constant
            + "WHERE t.id = (SELECT ticket_id FROM ticket_keys WHERE key = ? LIMIT 1)",
            (ticket_id,),
        ).fetchone()
    )


def fetch(connection: sqlite3.Connection, ticket_id: str) -> TicketRecord:
    """Return a ticket, or raise `TicketUnknownError`."""
    row = row_of(connection, ticket_id)
    if row is None:
        raise unknown(ticket_id)
    return record(row)


def log(
    connection: sqlite3.Connection,
    ticket_id: str,
    *,
    now: float,
    event: str,
    change: tuple[str, str],
    actor: str,
    detail: str = "",
) -> None:
    """Add one row to a ticket's history."""
    connection.execute(
        "INSERT INTO ticket_events (ticket_id, at, event, from_state, to_state, actor,"
        " detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (ticket_id, now, event, *change, actor, detail),
    )


def move(
    connection: sqlite3.Connection,
    ticket: TicketRecord,
    to: TicketState,
    *,
    now: float,
    event: str,
    actor: str,
    detail: str = "",
    **values: object,
) -> TicketRecord:
    """Move a ticket on, if it still is as `ticket` says, and return it."""
    names = "".join(f", {name} = ?" for name in values)
    changed = connection.execute(
        f"UPDATE tickets SET state = ?{names} "  # noqa: S608 - the names are ours
        "WHERE id = ? AND state = ? AND lease_token = ?",
        (to, *values.values(), ticket.id, ticket.state, ticket.lease_token),
    )
    if changed.rowcount != 1:
        raise LeaseLostError(
            f"ticket {ticket.id!r} changed under this step; look at it again with "
            f"`llmguard queue show {ticket.id}`",
            ticket_id=ticket.id,
        )
    change = (str(ticket.state), str(to))
    log(
        connection,
        ticket.id,
        now=now,
        event=event,
        change=change,
        actor=actor,
        detail=detail,
    )
    return fetch(connection, ticket.id)


def lapse(
    connection: sqlite3.Connection,
    ticket: TicketRecord,
    *,
    now: float,
    max_losses: int,
) -> TicketRecord:
    """Apply what time did to a ticket: a lease that ended, an expiry that passed."""
    if ticket.state is TicketState.CLAIMED and ticket.lapsed(now):
        losses = ticket.losses + 1
        dead = losses >= max_losses
        # The token stays: a late answer counts while nobody else took the ticket.
        ticket = move(
            connection,
            ticket,
            TicketState.DEAD if dead else TicketState.OPEN,
            now=now,
            event="dead" if dead else "lease_lost",
            actor="clock",
            detail=f"lease of {ticket.claimed_by} ended ({losses} of {max_losses})",
            losses=losses,
            lease_until=None,
            claimed_by="",
            closed_at=now if dead else None,
            note=f"{losses} leases lapsed" if dead else "",
        )
    if ticket.state is TicketState.OPEN and ticket.lapsed(now):
        ticket = move(
            connection,
            ticket,
            TicketState.EXPIRED,
            now=now,
            event="expired",
            actor="clock",
            closed_at=now,
            note="nobody took it in time",
        )
    return ticket


def sweep(
    connection: sqlite3.Connection, *, now: float, max_losses: int, limit: int
) -> int:
    """Apply `lapse` to every ticket that needs it, up to `limit`."""
    rows = connection.execute(
        "SELECT id FROM tickets WHERE state = 'claimed' AND lease_until <= :now "
        "UNION ALL "
        "SELECT id FROM tickets WHERE state = 'open' AND expires_at <= :now "
        "LIMIT :limit",
        {"now": now, "limit": limit},
    ).fetchall()
    for row in rows:
        ticket = fetch(connection, row["id"])
        lapse(connection, ticket, now=now, max_losses=max_losses)
    return len(rows)


def entitle(ticket: TicketRecord, *, token: str | None, roles: Collection[str]) -> None:
    """Raise unless whoever holds `token` (or nothing) may act on the ticket now."""
    if ticket.state in CLOSED:
        by = f" by {ticket.closed_by}" if ticket.closed_by else ""
        raise TicketStateError(
            f"ticket {ticket.id!r} is already {ticket.state}{by}; "
            f"`llmguard queue show {ticket.id}` shows its history",
            ticket_id=ticket.id,
            state=ticket.state,
        )
    if token is None and ticket.state is TicketState.CLAIMED:
        raise LeaseLostError(
            f"ticket {ticket.id!r} is claimed by {ticket.claimed_by!r}: pass the "
            "`--token` that the claim printed, or take it over with "
            f"`llmguard queue release {ticket.id} --reason WHY`",
            ticket_id=ticket.id,
            holder=ticket.claimed_by,
        )
    if token is not None and token != ticket.lease_token:
        now_with = (
            f"is now with {ticket.claimed_by!r}" if ticket.claimed_by else "ended"
        )
        raise LeaseLostError(
            f"the lease behind this token on ticket {ticket.id!r} {now_with}; claim "
            f"it again: `llmguard queue claim {ticket.id}`",
            ticket_id=ticket.id,
            holder=ticket.claimed_by,
        )
    if token is None and ticket.role and ticket.role not in roles:
        raise RoleRequiredError(
            f"ticket {ticket.id!r} is for the role {ticket.role!r}; reviewers who have "
            f"it add `--role {ticket.role}`"
        )


def next_open(
    connection: sqlite3.Connection, *, queue: str | None, roles: Collection[str]
) -> TicketRecord | None:
    """Return the open ticket that these roles should take next."""
    allowed = {"", *roles}
    places = connection.execute(
        "SELECT queue, role FROM ticket_counts WHERE state = 'open' AND n > 0 "
        "AND (? IS NULL OR queue = ?)",
        (queue, queue),
    ).fetchall()
    best: tuple[int, float, str] | None = None
    for place in places:
        if place["role"] not in allowed:
            continue
        row = connection.execute(
            "SELECT -priority, coalesce(due_at, 1e300), id FROM tickets "
            "WHERE state = 'open' AND queue = ? AND role = ? "
            "ORDER BY priority DESC, coalesce(due_at, 1e300), id LIMIT 1",
            (place["queue"], place["role"]),
        ).fetchone()
        best = min(best, tuple(row)) if best else tuple(row)
    return fetch(connection, best[2]) if best else None


def claim(
    connection: sqlite3.Connection,
    ticket: TicketRecord,
    *,
    now: float,
    reviewer: str,
    lease: float,
) -> TicketRecord:
    """Lease an open ticket under a new token."""
    return move(
        connection,
        ticket,
        TicketState.CLAIMED,
        now=now,
        event="claimed",
        actor=reviewer,
        detail=f"for {lease:g} s",
        claimed_by=reviewer,
        lease_token=new_token(),
        lease_until=now + lease,
        claims=ticket.claims + 1,
        first_claimed_at=ticket.first_claimed_at or now,
    )
