"""The steps of a ticket, each one conditional update and one event row.

Where several transactions write at once, a step locks its ticket's row when it reads
it, so that what it read is still true when it writes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from ._database import Connection, Row
from ._ids import new_token
from ._ticket_rows import SELECT, decode, encode, record
from .policies import Expiry
from .problems import (
    AssignedError,
    LeaseLostError,
    RoleRequiredError,
    TicketStateError,
    TicketUnknownError,
)
from .tickets import CLOSED, EVERY_ROLE, TicketRecord, TicketState

__all__ = [
    "any_lapsed",
    "claim",
    "entitle",
    "fetch",
    "lapse",
    "log",
    "move",
    "note",
    "refuse_role",
    "row_of",
    "sweep",
    "unknown",
    "unknown_case",
]

_LAPSED = (
    "SELECT id FROM tickets WHERE state = 'claimed' AND lease_until <= :now "
    "UNION ALL "
    "SELECT id FROM tickets WHERE state = 'open' AND expires_at <= :now "
    "LIMIT :limit"
)
_ARM = (
    "UPDATE ticket_callbacks SET state = 'due', attempts = 0, next_at = ?, "
    "lease_token = '' WHERE ticket_id = ?"
)


def unknown(ticket_id: str) -> TicketUnknownError:
    """Return the error for an id that no ticket has."""
    return TicketUnknownError(
        f"no ticket {ticket_id!r} in this store; `llmguard queue list --all` shows "
        "what there is, and `LLMGUARD_STORE` which store is read"
    )


def unknown_case(ticket_id: str) -> TicketUnknownError:
    """Return the error for a ticket that no case came of, or whose content is gone."""
    return TicketUnknownError(
        f"no case came of ticket {ticket_id!r}, or its content was purged; "
        "`llmguard queue cases list` shows what there is"
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


def note(
    connection: Connection,
    ticket: TicketRecord,
    *,
    now: float,
    event: str,
    actor: str,
    detail: str = "",
) -> None:
    """Add one row to a ticket's history without moving it."""
    change = (str(ticket.state), str(ticket.state))
    log(
        connection,
        ticket.id,
        now=now,
        event=event,
        change=change,
        actor=actor,
        detail=detail,
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
    if ticket.callbacks and to in CLOSED and ticket.state not in CLOSED:
        connection.execute(_ARM, (now, ticket.id))
    return _moved(ticket, to, values)


def _moved(
    ticket: TicketRecord, to: TicketState, values: dict[str, Any]
) -> TicketRecord:
    """Return a ticket as its row now is; asking the database again takes a while."""
    changes = dict(values)
    if "answer" in changes:
        text = changes["answer"]
        changes["answered"] = text is not None
        changes["answer"] = None if text is None else decode(text)
    if "adjudicating" in changes:
        changes["adjudicating"] = bool(changes["adjudicating"])
    return replace(ticket, state=to, **changes)


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
        if ticket.expiry.do == "escalate":
            return _escalate(connection, ticket, now)
        return _expire(connection, ticket, now)
    return ticket


def _expire(connection: Connection, ticket: TicketRecord, now: float) -> TicketRecord:
    """Close a ticket that nobody took, with its declared value if it has one."""
    default = ticket.expiry.do == "answer"
    values: dict[str, object] = (
        {"answer": encode(ticket.expiry.value)} if default else {}
    )
    note = "nobody took it in time"
    return move(
        connection,
        ticket,
        TicketState.EXPIRED,
        now=now,
        event="expired",
        actor="clock",
        detail="its declared value is the answer" if default else "",
        closed_at=now,
        note=f"{note}; its declared value is the answer" if default else note,
        **values,
    )


def _escalate(connection: Connection, ticket: TicketRecord, now: float) -> TicketRecord:
    """Hand a ticket that nobody took to another role, whoever it was kept for."""
    policy = ticket.expiry
    until = None if policy.seconds is None else now + policy.seconds
    connection.execute(
        "UPDATE tickets SET role = ?, assignee = '', expires_at = ? WHERE id = ?",
        (policy.role, until, ticket.id),
    )
    connection.execute(
        "UPDATE ticket_bodies SET expiry = ? WHERE ticket_id = ?",
        (encode((policy.then or Expiry()).to_json()), ticket.id),
    )
    note(
        connection,
        ticket,
        now=now,
        event="escalated",
        actor="clock",
        detail=f"from role {ticket.role!r} to {policy.role!r}: nobody took it in time",
    )
    return fetch(connection, ticket.id)


def any_lapsed(reader: Connection, now: float) -> bool:
    """Tell whether a sweep would find anything."""
    return reader.execute(_LAPSED, {"now": now, "limit": 1}).fetchone() is not None


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


def entitle(
    ticket: TicketRecord,
    *,
    token: str | None,
    roles: Collection[str],
    reviewer: str | None = None,
) -> None:
    """Raise unless whoever holds `token` (or nothing) may act on the ticket now.

    Args:
        ticket: As it is now.
        token: Of a lease; None asks for one that is free.
        roles: Of the reviewer.
        reviewer: Who asks; None where it does not matter for whom it is kept.
    """
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
            f"`llmguard queue steal {ticket.id} --reason WHY`",
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
    if token is None:
        refuse_role(ticket, roles)
    if token is None and reviewer is not None and ticket.assignee not in {"", reviewer}:
        raise AssignedError(
            f"ticket {ticket.id!r} is kept for {ticket.assignee!r}: take it with "
            f"`llmguard queue steal {ticket.id} --reason WHY`",
            ticket_id=ticket.id,
            assignee=ticket.assignee,
        )


def refuse_role(ticket: TicketRecord, roles: Collection[str]) -> None:
    """Raise `RoleRequiredError` unless these roles may take the ticket."""
    if ticket.role and ticket.role not in roles and EVERY_ROLE not in roles:
        raise RoleRequiredError(
            f"ticket {ticket.id!r} is for the role {ticket.role!r}; reviewers who have "
            f"it add `--role {ticket.role}`"
        )


def claim(
    connection: Connection,
    ticket: TicketRecord,
    *,
    now: float,
    reviewer: str,
    lease: float,
    event: str = "claimed",
    detail: str = "",
) -> TicketRecord:
    """Lease a ticket under a new token."""
    return move(
        connection,
        ticket,
        TicketState.CLAIMED,
        now=now,
        event=event,
        actor=reviewer,
        detail=detail or f"for {lease:g} s",
        claimed_by=reviewer,
        lease_token=new_token(),
        lease_until=now + lease,
        claims=ticket.claims + 1,
        first_claimed_at=ticket.first_claimed_at or now,
    )
