"""The page of one ticket: why it is here, what was asked and proposed, the form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmguard.store import WAITING, Opinion, TicketRecord, TicketState

from .._blind import is_blind
from .._visit import Visit, require
from ._desk import mine, reviewers, ticket_of
from ._form import Draft, empty, of_value
from ._proposals import Proposal, Reason, best, proposals, reasons

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["Sight", "draft_of", "form_part", "page", "sight_of", "ticket_page"]


STEPS: Final = 200
"""Of a ticket's history that pages show: thousands of callers may share one ticket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a principal is shown of a ticket.

    Attributes:
        record: The ticket.
        held: Whether it is theirs now.
        blind: Whether what tiers said is hidden until they have an own answer.
        reasons: Why each tier failed.
        proposals: What each tier proposed; empty while `blind`.
        opinions: What reviewers said who disagree, for the one who decides.
    """

    record: TicketRecord
    held: bool
    blind: bool
    reasons: tuple[Reason, ...]
    proposals: tuple[Proposal, ...]
    opinions: tuple[Opinion, ...] = ()

    @property
    def waiting(self) -> bool:
        """Whether it can still be answered."""
        return self.record.state in WAITING

    @property
    def open(self) -> bool:
        """Whether nobody holds it."""
        return self.record.state is TicketState.OPEN

    @property
    def acceptable(self) -> Proposal | None:
        """The proposal that one key accepts: the last one without a fault."""
        fine = [one for one in self.proposals if one.acceptable]
        return fine[-1] if fine else None


def sight_of(visit: Visit, record: TicketRecord) -> Sight:
    """Return what the principal is shown of a ticket."""
    blind = is_blind(visit, record)
    held = mine(visit, record)
    decides = held and record.adjudicating
    return Sight(
        record=record,
        held=held,
        blind=blind,
        reasons=reasons(record, hidden=blind),
        proposals=() if blind else proposals(record),
        # Whoever answers independently must not see what others said.
        opinions=tuple(visit.store.tickets.opinions(record.id)) if decides else (),
    )


def reveal(visit: Visit, record: TicketRecord, value: object) -> None:
    """Record that the own answer is there, so that proposals may be seen."""
    text = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()[:12]
    visit.audit("ticket.revealed", record.id, detail=f"own answer {digest}")


def draft_of(visit: Visit, sight: Sight) -> Draft:
    """Return the form to begin with: the proposal asked for, else the best one."""
    if sight.blind:
        return empty(sight.record)
    wanted = visit.query("from")
    if wanted == "blank":
        return empty(sight.record)
    chosen = next((p for p in sight.proposals if str(p.number) == wanted), None)
    chosen = chosen or best(sight.proposals)
    if chosen is None or not chosen.usable:
        return empty(sight.record)
    return of_value(sight.record, chosen.value)


@require("review")
def ticket_page(visit: Visit) -> Response:
    """Show a ticket."""
    record = ticket_of(visit)
    visit.audit("ticket.seen", record.id)
    return page(visit, record)


def page(
    visit: Visit,
    record: TicketRecord,
    *,
    draft: Draft | None = None,
    notice: str = "",
    status: int = 200,
) -> Response:
    """Return the whole page of a ticket.

    Args:
        visit: Who looks.
        record: The ticket.
        draft: The form as it was posted; the one to begin with when None.
        notice: A sentence above everything else.
        status: HTTP status.
    """
    sight = sight_of(visit, record)
    if draft is None and sight.held:
        draft = draft_of(visit, sight)
    return visit.render(
        "review/ticket.html",
        status=status,
        sight=sight,
        ticket=record,
        draft=draft,
        notice=notice,
        lost="",
        oob=False,
        done=visit.query("done"),
        steps=STEPS,
        queue=visit.posted("queue") or visit.query("queue"),
        events=visit.store.tickets.events(record.id, limit=STEPS),
        token=record.lease_token if sight.held else "",
        reviewers=reviewers(visit, record) if sight.waiting else (),
    )


def form_part(
    visit: Visit,
    record: TicketRecord,
    draft: Draft,
    *,
    status: int,
    notice: str = "",
    lost: str = "",
    oob: bool = False,
) -> Response:
    """Return the form as it was posted: the part for htmx, else the whole page.

    Args:
        visit: Who posted it.
        record: The ticket as it is now.
        draft: The form.
        status: HTTP status.
        notice: A sentence above the form.
        lost: Why the ticket is no longer theirs; the form is kept for them.
        oob: Whether the part with what tiers said has changed too.
    """
    sight = sight_of(visit, record)
    whole = not visit.by_htmx
    return visit.render(
        "review/ticket.html" if whole else "review/_answer.html",
        status=status,
        sight=sight,
        ticket=record,
        draft=draft,
        notice=notice,
        lost=lost,
        oob=oob and not whole,
        done="",
        steps=STEPS,
        queue=visit.posted("queue"),
        events=visit.store.tickets.events(record.id, limit=STEPS) if whole else (),
        # What was typed stays bound to the lease it was typed under.
        token=visit.posted("token"),
        reviewers=reviewers(visit, record) if whole else (),
    )
