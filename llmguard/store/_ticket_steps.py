"""The steps of a ticket, each one conditional update and one event row.

Where several transactions write at once, a step locks its ticket's row when it reads
it, so that what it read is still true when it writes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ._database import Connection, Row
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

_LAPSED = (
    "SELECT id FROM tickets WHERE state = 'claimed' AND lease_until <= :now "
    "UNION ALL "
    "SELECT id FROM tickets WHERE state = 'open' AND expires_at <= :now "
    "LIMIT :limit"
)
_NEXT = (
    "SELECT -t.priority, coalesce(t.due_at, 1e300), t.id FROM tickets t "
    "WHERE t.state = 'open' AND t.queue = ? AND t.role = ? "
    "ORDER BY t.priority DESC, coalesce(t.due_at, 1e300), t.id LIMIT 1"
)


def unknown(ticket_id: str) -> TicketUnknownError:
    """Return the error for an id that no ticket has."""
    return TicketUnknownError(
        f"no ticket {ticket_id!r} in this store; `llmguard queue list --all` shows "
        "what there is, and `LLMGUARD_STORE` which store is read"
    )


def row_of(connection: Connection, ticket_id: str, *, lock: bool = False) -> Row | None:
    """Return the row of a ticket, by id or by one of its idempotency keys."""
    end = connection.dialect.for_update if lock else ""
    found: Row | None = connection.execute(
        f"{SELECT}WHERE t.id = ?{end}", (ticket_id,)
    ).fetchone()
    return (
        found
        or connection.execute(
            f"{SELECT}WHERE t.id = "  # noqa: S608 - constants
            f"(SELECT ticket_id FROM ticket_keys WHERE key = ? LIMIT 1){end}",
            (ticket_id,),
        ).fetchone()
    )


def fetch(
    connection: Connection, ticket_id: str, *, lock: bool = False
) -> TicketRecord:
    """Return a ticket, `lock`ed against other steps, or raise `TicketUnknownError`."""
    row = row_of(connection, ticket_id, lock=lock)
    if row is None:
        raise unknown(ticket_id)
    return record(row)


def log(
    connection: Connection,
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
    connection: Connection,
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
        (str(to), *values.values(), ticket.id, str(ticket.state), ticket.lease_token),
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
    connection: Connection,
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


def sweep(connection: Connection, *, now: float, max_losses: int, limit: int) -> int:
    """Apply `lapse` to every ticket that needs it, up to `limit`."""
    rows = connection.execute(_LAPSED, {"now": now, "limit": limit}).fetchall()
    done = 0
    for row in rows:
        if _taken(connection, row["id"]):
            ticket = fetch(connection, row["id"])
            after = lapse(connection, ticket, now=now, max_losses=max_losses)
            done += after is not ticket
    return done


def _taken(connection: Connection, ticket_id: str) -> bool:
    """Lock a ticket unless another step holds it."""
    skipping = connection.dialect.skip_locked
    if not skipping:
        return True
    sql = f"SELECT t.id FROM tickets t WHERE t.id = ?{skipping}"  # noqa: S608 - constants
    return connection.execute(sql, (ticket_id,)).fetchone() is not None


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
    connection: Connection, *, queue: str | None, roles: Collection[str]
) -> TicketRecord | None:
    """Return the open ticket that these roles should take next."""
    allowed = {"", *roles}
    places = connection.execute(
        "SELECT queue, role FROM ticket_counts WHERE state = 'open' AND n > 0 "
        "AND (CAST(? AS TEXT) IS NULL OR queue = ?)",
        (queue, queue),
    ).fetchall()
    free = [place for place in places if place["role"] in allowed]
    if len(free) > 1:
        free = _by_urgency(connection, free)
    for place in free:
        sql = _NEXT + connection.dialect.skip_locked
        row = connection.execute(sql, (place["queue"], place["role"])).fetchone()
        if row is not None:
            return fetch(connection, row[2])
    return None


def _by_urgency(connection: Connection, places: Sequence[Row]) -> list[Row]:
    firsts: list[tuple[tuple[float, float, str], Row]] = []
    for place in places:
        row = connection.execute(_NEXT, (place["queue"], place["role"])).fetchone()
        if row is not None:
            firsts.append(((row[0], row[1], row[2]), place))
    return [place for _, place in sorted(firsts, key=lambda one: one[0])]


def claim(
    connection: Connection,
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
