"""Which tickets a principal may see, and how a ticket stands towards them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from llmguard.errors import QueueError
from llmguard.store import (
    CLOSED,
    EVERY_ROLE,
    WAITING,
    LeaseLostError,
    TicketRecord,
    TicketState,
    TicketUnknownError,
    page_cursor,
)

from .._problems import RefusedError
from .._visit import Visit

__all__ = [
    "PAGE",
    "Filter",
    "Listing",
    "listing",
    "mine",
    "reviewers",
    "take",
    "take_next",
    "ticket_of",
    "whose",
]

PAGE: Final = 50
_SHOWN: Final[Mapping[str, frozenset[TicketState]]] = {
    "waiting": WAITING,
    "open": frozenset({TicketState.OPEN}),
    "claimed": frozenset({TicketState.CLAIMED}),
    "closed": CLOSED,
    **{str(state): frozenset({state}) for state in sorted(CLOSED)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What the list shows.

    Attributes:
        queue: One queue; empty for all.
        state: A key of the states that can be chosen.
        mine: Only what the principal holds.
        after: Where the page before ended.
    """

    queue: str = ""
    state: str = "waiting"
    mine: bool = False
    after: str = ""

    @classmethod
    def of(cls, visit: Visit) -> Filter:
        """Read it from a request; what it does not know counts as not given."""
        state = visit.query("state", "waiting")
        return cls(
            queue=visit.query("queue"),
            state=state if state in _SHOWN else "waiting",
            mine=visit.query("mine") == "1",
            after=visit.query("after"),
        )

    @property
    def states(self) -> frozenset[TicketState]:
        """The states that are shown."""
        return _SHOWN[self.state]

    @property
    def query(self) -> str:
        """It as it stands behind the `?`."""
        said = {
            "queue": self.queue,
            "state": "" if self.state == "waiting" else self.state,
            "mine": "1" if self.mine else "",
            "after": self.after,
        }
        return urlencode({name: text for name, text in said.items() if text})

    @property
    def choices(self) -> Sequence[str]:
        """The states that can be chosen."""
        return tuple(_SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of tickets.

    Attributes:
        tickets: In the order of work.
        chosen: What is shown.
        queues: Per queue the open and the claimed tickets.
        next: Where the next page starts; empty on the last one.
    """

    tickets: tuple[TicketRecord, ...]
    chosen: Filter
    queues: Mapping[str, tuple[int, int]]
    next: str


def listing(visit: Visit) -> Listing:
    """Return the page of tickets that a request asks for."""
    chosen = Filter.of(visit)
    try:
        found = _found(visit, chosen)
    except QueueError:  # `after` is what no page ended with: the first page
        chosen = replace(chosen, after="")
        found = _found(visit, chosen)
    shown = tuple(found[:PAGE])
    following = ""
    if len(found) > PAGE:
        following = replace(chosen, after=page_cursor(shown[-1])).query
    counts = visit.store.tickets.counts(roles=visit.principal.roles)
    queues = {
        name: (states.get("open", 0), states.get("claimed", 0))
        for name, states in sorted(counts.items())
    }
    return Listing(tickets=shown, chosen=chosen, queues=queues, next=following)


def _found(visit: Visit, chosen: Filter) -> Sequence[TicketRecord]:
    return visit.store.tickets.list(
        queue=chosen.queue or None,
        states=chosen.states,
        limit=PAGE + 1,
        after=chosen.after,
        holder=visit.principal.name if chosen.mine else None,
        roles=visit.principal.roles,
    )


def ticket_of(visit: Visit) -> TicketRecord:
    """Return the ticket that a path names, as time has left it.

    Raises:
        RefusedError: There is none, or it is for a role that the principal lacks.
    """
    try:
        record = visit.store.tickets.get(visit.param("ticket_id"))
        if record.lapsed(visit.now):
            visit.store.tickets.sweep()
            record = visit.store.tickets.get(record.id)
    except TicketUnknownError:
        raise RefusedError(404, "there is no such ticket", code="unknown") from None
    if not visit.principal.sees(record.role):
        visit.audit("ticket.refused", record.id, detail="role", outcome="refused")
        name = visit.principal.name
        raise RefusedError(
            403,
            f"this ticket is for the role {record.role!r}; an administrator gives it: "
            f"`llmguard console user grant {name} --role {record.role}`",
            code="role_needed",
        )
    return record


def mine(visit: Visit, record: TicketRecord) -> bool:
    """Tell whether the principal holds the ticket now."""
    return (
        record.state is TicketState.CLAIMED
        and record.claimed_by == visit.principal.name
    )


def take_next(visit: Visit, queue: str) -> TicketRecord | None:
    """Lease the next ticket to the principal; None when nothing is open."""
    record = visit.store.tickets.claim(
        reviewer=visit.principal.name,
        queue=queue or None,
        roles=visit.principal.roles,
        lease=visit.console.settings.lease,
    )
    if record is not None:
        visit.audit("ticket.claimed", record.id)
    return record


def take(visit: Visit, record: TicketRecord) -> TicketRecord:
    """Lease one ticket to the principal.

    Raises:
        QueueError: Somebody else was faster, it is kept for somebody, or closed.
    """
    found = visit.store.tickets.claim(
        reviewer=visit.principal.name,
        ticket_id=record.id,
        roles=visit.principal.roles,
        lease=visit.console.settings.lease,
    )
    if found is None:
        raise LeaseLostError(
            f"somebody else was faster: ticket {record.id!r} is taken; go on with the "
            "next one",
            ticket_id=record.id,
        )
    visit.audit("ticket.claimed", record.id)
    return found


def whose(record: TicketRecord) -> str:
    """Say why a ticket is not one's own just now."""
    if record.claimed_by:
        return f"It is with {record.claimed_by} now."
    if record.closed_by:
        return f"It was {record.state} by {record.closed_by}."
    if record.closed_at is not None:
        return f"It is {record.state}."
    if record.assignee:
        return f"It is kept for {record.assignee}."
    if record.opinions:
        return f"It has {record.opinions} answers, and waits for somebody else's."
    return "The time it was yours for is over, and nobody has taken it since."


def reviewers(visit: Visit, record: TicketRecord) -> tuple[str, ...]:
    """Return who may answer a ticket."""
    return tuple(
        user.name
        for user in visit.store.access.list_users()
        if user.disabled_at is None
        and "review" in user.scopes
        and (not record.role or record.role in user.roles or EVERY_ROLE in user.roles)
    )
