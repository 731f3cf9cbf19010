"""Tickets: looked at, taken, answered, passed on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from llmguard.store import (
    WAITING,
    LeaseLostError,
    ReviewedError,
    TicketRecord,
    TicketState,
    TicketStateError,
    page_cursor,
)

from .._blind import is_blind, may_be_blind
from ._answers import answer as say
from ._answers import ticket_json
from ._asked import Body, WrongFieldError, api, integer, seen

if TYPE_CHECKING:
    from .._visit import Visit

__all__ = [
    "answer",
    "assign",
    "claim",
    "claim_next",
    "events",
    "list_",
    "reject",
    "release",
    "renew",
    "revive",
    "show",
    "skip",
    "stats",
    "steal",
]

_MOST: Final = 200
_STEPS: Final = 1_000


@api("review")
def list_(visit: Visit) -> Response:
    """Return a page of tickets, next to be claimed first."""
    limit = integer(visit, "limit", 50, least=1, most=_MOST)
    states = [text for text in visit.query("state").split(",") if text]
    unknown = set(states) - {str(state) for state in TicketState}
    if unknown:
        raise WrongFieldError("?state", f"has no {min(unknown)!r}")
    mine = {"me": visit.principal.name}
    assignee, holder = visit.query("assignee"), visit.query("holder")
    found = visit.store.tickets.list(
        queue=visit.query("queue") or None,
        states=[TicketState(text) for text in states] or WAITING,
        limit=limit,
        after=visit.query("after"),
        assignee=mine.get(assignee, assignee) or None,
        holder=mine.get(holder, holder) or None,
        roles=visit.principal.roles,
    )
    return say(
        {
            "tickets": [
                ticket_json(visit, one, blind=may_be_blind(visit, one)) for one in found
            ],
            "next": page_cursor(found[-1]) if len(found) == limit else None,
        }
    )


@api("review")
def show(visit: Visit) -> Response:
    """Return one ticket; looking is on record."""
    record = seen(visit)
    visit.audit("ticket.seen", record.id)
    return _ticket(visit, record)


def _ticket(visit: Visit, record: TicketRecord) -> Response:
    opinions = visit.store.tickets.opinions(record.id) if record.opinions else ()
    blind = is_blind(visit, record)
    return say(ticket_json(visit, record, opinions, blind=blind))


@api("review")
def events(visit: Visit) -> Response:
    """Return the latest steps of a ticket's history, oldest first."""
    record = seen(visit)
    return say(
        {
            "events": [
                {
                    "seq": one.seq,
                    "at": one.at,
                    "event": one.event,
                    "from": one.from_state,
                    "to": one.to_state,
                    "actor": one.actor,
                    "detail": one.detail,
                }
                for one in visit.store.tickets.events(record.id, limit=_STEPS)
            ]
        }
    )


@api("review")
def claim_next(visit: Visit) -> Response:
    """Lease the next ticket to the principal; 204 when nothing is open."""
    body = Body(visit)
    queue = body.text("queue", "")
    lease = body.seconds("lease", visit.console.settings.lease)
    body.done()
    record = visit.store.tickets.claim(
        reviewer=visit.principal.name,
        queue=queue or None,
        roles=visit.principal.roles,
        lease=lease,
    )
    if record is None:
        return Response(status_code=204)
    visit.audit("ticket.claimed", record.id)
    return _ticket(visit, record)


@api("review")
def claim(visit: Visit) -> Response:
    """Lease one ticket; whoever holds it already gets it as it is."""
    body = Body(visit)
    lease = body.seconds("lease", visit.console.settings.lease)
    body.done()
    record = seen(visit)
    mine = record.claimed_by == visit.principal.name and not record.lapsed(visit.now)
    if record.state is TicketState.CLAIMED and mine:
        return _ticket(visit, record)
    found = visit.store.tickets.claim(
        reviewer=visit.principal.name,
        ticket_id=record.id,
        roles=visit.principal.roles,
        lease=lease,
    )
    visit.audit("ticket.claimed", record.id)
    return _ticket(visit, found or record)


@api("review")
def renew(visit: Visit) -> Response:
    """Renew a lease."""
    body = Body(visit)
    token = body.text("token", empty=False)
    lease = body.seconds("lease", visit.console.settings.lease)
    body.done()
    until = visit.store.tickets.extend(seen(visit).id, token, lease=lease)
    return say({"lease_until": until})


@api("review")
def answer(visit: Visit) -> Response:
    """Accept an answer, once; the same one again from the same person is fine."""
    body = Body(visit)
    value = body.value("value")
    token = body.text("token", "")
    body.done()
    record = seen(visit)
    try:
        done = visit.store.tickets.answer(
            record.id,
            value,
            reviewer=visit.principal.name,
            token=token or None,
            roles=visit.principal.roles,
        )
    except (LeaseLostError, TicketStateError, ReviewedError):
        repeated = _repeated(visit, record.id, value)
        if repeated is None:
            raise
        return _ticket(visit, repeated)
    visit.audit("ticket.answered", record.id)
    return _ticket(visit, done)


def _repeated(visit: Visit, ticket_id: str, value: object) -> TicketRecord | None:
    """Return the ticket when exactly this answer of this person is on it."""
    record = visit.store.tickets.get(ticket_id)
    name = visit.principal.name
    if record.answered and record.closed_by == name and _same(record.answer, value):
        return record
    given = visit.store.tickets.opinions(ticket_id) if record.opinions else ()
    same = any(one.reviewer == name and _same(one.answer, value) for one in given)
    return record if same else None


def _same(one: object, other: object) -> bool:
    import json

    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@api("review")
def reject(visit: Visit) -> Response:
    """Close a ticket unanswered."""
    return _leave(visit, visit.store.tickets.reject, "rejected")


@api("review")
def skip(visit: Visit) -> Response:
    """Pass a ticket over."""
    return _leave(visit, visit.store.tickets.skip, "skipped")


def _leave(visit: Visit, step: Callable[..., TicketRecord], name: str) -> Response:
    """Leave a ticket unanswered, for a reason."""
    body = Body(visit)
    reason, token = body.text("reason", empty=False), body.text("token", "")
    body.done()
    record = seen(visit)
    done = step(
        record.id,
        reviewer=visit.principal.name,
        reason=reason,
        token=token or None,
        roles=visit.principal.roles,
    )
    visit.audit(f"ticket.{name}", record.id)
    return _ticket(visit, done)


@api("review")
def release(visit: Visit) -> Response:
    """Give a ticket back, by its token."""
    body = Body(visit)
    token, reason = body.text("token", empty=False), body.text("reason", "")
    body.done()
    record = seen(visit)
    done = visit.store.tickets.release(
        record.id, actor=visit.principal.name, token=token, reason=reason
    )
    visit.audit("ticket.released", record.id)
    return _ticket(visit, done)


@api("review")
def steal(visit: Visit) -> Response:
    """Take a ticket from whoever holds it or has it assigned."""
    body = Body(visit)
    reason = body.text("reason", empty=False)
    lease = body.seconds("lease", visit.console.settings.lease)
    body.done()
    record = seen(visit)
    done = visit.store.tickets.steal(
        record.id,
        reviewer=visit.principal.name,
        reason=reason,
        roles=visit.principal.roles,
        lease=lease,
    )
    visit.audit("ticket.stolen", record.id, detail=f"from {record.claimed_by}")
    return _ticket(visit, done)


@api("review")
def assign(visit: Visit) -> Response:
    """Keep a ticket for one person; an empty `to` gives it back to all."""
    body = Body(visit)
    to, reason = body.text("to"), body.text("reason", "")
    body.done()
    record = seen(visit)
    done = visit.store.tickets.assign(
        record.id, to=to, actor=visit.principal.name, reason=reason
    )
    visit.audit("ticket.assigned", record.id, detail=f"to {to}" if to else "to anybody")
    return _ticket(visit, done)


@api("admin")
def revive(visit: Visit) -> Response:
    """Open a dead or expired ticket again; of others, send dead callbacks again."""
    body = Body(visit)
    reason = body.text("reason", empty=False)
    body.done()
    record = seen(visit)
    done = visit.store.tickets.revive(
        record.id, actor=visit.principal.name, reason=reason
    )
    visit.audit("ticket.revived", record.id)
    return _ticket(visit, done)


@api("read")
def stats(visit: Visit) -> Response:
    """Return how each queue does."""
    found = visit.store.tickets.stats(visit.query("queue") or None)
    return say(
        {
            "queues": [
                {name: getattr(one, name) for name in type(one).__slots__}
                for one in found
            ]
        }
    )
