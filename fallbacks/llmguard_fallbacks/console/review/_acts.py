"""What reviewers do with a ticket: take, answer, accept, reject, skip, give back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.responses import JSONResponse

from llmguard.errors import QueueError
from llmguard.store import (
    CLOSED,
    WAITING,
    AnswerRefusedError,
    TicketRecord,
    TicketState,
)

from .._problems import RefusedError
from .._visit import Visit, require
from ._desk import mine, reviewers, take, take_next, ticket_of, whose
from ._form import Draft, judged, of_value, pressed
from ._proposals import proposals
from ._ticket import form_part, page, reveal, sight_of

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = [
    "accept",
    "answer",
    "assign",
    "claim",
    "next_",
    "reject",
    "release",
    "renew",
    "skip",
    "steal",
]

_LONGEST = 10_000  # characters of a reason: it stays with the ticket
_SUBMIT = frozenset({"submit", "stay"})


@require("review")
def next_(visit: Visit) -> Response:
    """Take the next ticket, and go to it."""
    return _on(visit, "")


def _on(visit: Visit, done: str) -> Response:
    """Go to the next ticket at once; to the list when nothing is open."""
    queue = visit.posted("queue")
    record = take_next(visit, queue)
    told = {"done": done, "queue": queue}
    query = urlencode({name: text for name, text in told.items() if text})
    if record is None:
        base = visit.url("review:list")
        return visit.redirect(f"{base}?{query or 'done=none'}")
    base = visit.url("review:ticket", ticket_id=record.id)
    return visit.redirect(f"{base}?{query}" if query else base)


@require("review")
def claim(visit: Visit) -> Response:
    """Take one ticket."""
    record = ticket_of(visit)
    if not mine(visit, record):
        try:
            take(visit, record)
        except QueueError:
            return _refused(visit)
    return visit.redirect(visit.url("review:ticket", ticket_id=record.id))


@require("review")
def answer(visit: Visit) -> Response:
    """Do what a button of the form says; at last, answer."""
    record = ticket_of(visit)
    op = visit.posted("op")
    if op == "again":
        return _again(visit, record)
    if op not in _SUBMIT:
        draft = pressed(record, visit.pairs)
        return form_part(visit, record, draft, status=422 if draft.errors else 200)
    draft = judged(record, visit.pairs)
    if not draft.whole:
        return form_part(visit, record, draft, status=422)
    if sight_of(visit, record).blind:
        reveal(visit, record, draft.value)
        return form_part(
            visit,
            record,
            draft,
            status=200,
            oob=True,
            notice="Your answer is noted, not yet sent. Below is what the tiers "
            "proposed: change yours or keep it, then send it.",
        )
    return _settled(visit, record, draft, stay=op == "stay")


def _again(visit: Visit, record: TicketRecord) -> Response:
    """Take a ticket anew whose lease was lost, and keep what was typed."""
    draft = pressed(record, [*_without_op(visit), ("op", "check")])
    try:
        fresh = record if mine(visit, record) else take(visit, record)
    except QueueError:
        record = ticket_of(visit)
        return form_part(visit, record, draft, status=409, lost=whose(record))
    kept = Draft(form=draft.form)
    if visit.by_htmx:
        return _fresh(visit, fresh, kept)
    return page(visit, fresh, draft=kept)


def _fresh(visit: Visit, record: TicketRecord, draft: Draft) -> Response:
    return visit.render(
        "review/_answer.html",
        sight=sight_of(visit, record),
        ticket=record,
        draft=draft,
        notice="It is yours again; what you typed is still here.",
        lost="",
        oob=False,
        queue=visit.posted("queue"),
        token=record.lease_token,
    )


def _without_op(visit: Visit) -> list[tuple[str, str]]:
    return [pair for pair in visit.pairs if pair[0] != "op"]


@require("review")
def accept(visit: Visit) -> Response:
    """Answer with what a tier proposed, as it is."""
    record = ticket_of(visit)
    number = visit.posted("proposal")
    if sight_of(visit, record).blind:
        raise RefusedError(403, "write an own answer first", code="blind")
    chosen = next((p for p in proposals(record) if str(p.number) == number), None)
    if chosen is None or not chosen.acceptable:
        notice = "This proposal is no whole answer; correct it in the form."
        return page(visit, record, notice=notice, status=422)
    draft = of_value(record, chosen.value)
    whole = Draft(form=draft.form, whole=True, value=chosen.value)
    return _settled(visit, record, whole, stay=False, how=f"accepted {chosen.tier}")


def _settled(
    visit: Visit,
    record: TicketRecord,
    draft: Draft,
    *,
    stay: bool,
    how: str = "",
) -> Response:
    try:
        after = visit.store.tickets.answer(
            record.id,
            draft.value,
            reviewer=visit.principal.name,
            token=visit.posted("token") or None,
            roles=visit.principal.roles,
        )
    except AnswerRefusedError:
        fresh = judged(record, visit.pairs)
        return form_part(visit, record, fresh, status=422)
    except QueueError:
        return _too_late(visit, record, draft)
    if record.state in CLOSED:
        return _once_more(visit)
    visit.audit("ticket.answered", record.id, detail=how)
    done = _said(after.state)
    if stay:
        return visit.redirect(f"{visit.url('review:list')}?done={done}")
    return _on(visit, done)


def _said(state: TicketState) -> str:
    """Return what became of an answer: others may have to give theirs."""
    if state in WAITING:
        return "opinion"
    return "undecided" if state is TicketState.DEAD else "answered"


def _once_more(visit: Visit) -> Response:
    """Go on after an answer that came twice: its first coming took the next ticket."""
    held = visit.store.tickets.list(
        queue=visit.posted("queue") or None,
        states=[TicketState.CLAIMED],
        holder=visit.principal.name,
        limit=1,
    )
    if not held:
        return visit.redirect(f"{visit.url('review:list')}?done=answered")
    base = visit.url("review:ticket", ticket_id=held[0].id)
    return visit.redirect(f"{base}?done=answered")


def _too_late(visit: Visit, record: TicketRecord, draft: Draft) -> Response:
    now = ticket_of(visit)
    visit.audit("ticket.late", record.id, detail=str(now.state), outcome="refused")
    lost = whose(now)
    return form_part(visit, now, draft, status=409, lost=lost)


@require("review")
def reject(visit: Visit) -> Response:
    """Close a ticket unanswered; its caller is told the reason."""
    unsaid = "Say why nobody can answer it."
    return _leave(visit, visit.store.tickets.reject, "rejected", unsaid=unsaid)


@require("review")
def skip(visit: Visit) -> Response:
    """Pass a ticket over with a reason, and go on to the next."""
    unsaid = "Say why you skip it."
    return _leave(visit, visit.store.tickets.skip, "skipped", unsaid=unsaid)


def _leave(
    visit: Visit, step: Callable[..., TicketRecord], name: str, *, unsaid: str
) -> Response:
    """Leave a ticket unanswered, for a reason."""
    record = ticket_of(visit)
    reason = _reason(visit)
    if not reason:
        return page(visit, record, notice=unsaid, status=422)
    try:
        step(
            record.id,
            reviewer=visit.principal.name,
            reason=reason,
            token=visit.posted("token") or None,
            roles=visit.principal.roles,
        )
    except QueueError:
        return _refused(visit)
    visit.audit(f"ticket.{name}", record.id)
    return _on(visit, name)


@require("review")
def release(visit: Visit) -> Response:
    """Put a ticket of one's own back."""
    record = ticket_of(visit)
    try:
        visit.store.tickets.release(
            record.id, actor=visit.principal.name, token=visit.posted("token")
        )
    except QueueError:
        return _refused(visit)
    visit.audit("ticket.released", record.id)
    return visit.redirect(f"{visit.url('review:list')}?done=released")


@require("review")
def steal(visit: Visit) -> Response:
    """Take a ticket from whoever holds it, or has it assigned, with a reason."""
    record = ticket_of(visit)
    reason = _reason(visit)
    if not reason:
        return page(visit, record, notice="Say why you take it over.", status=422)
    try:
        visit.store.tickets.steal(
            record.id,
            reviewer=visit.principal.name,
            reason=reason,
            roles=visit.principal.roles,
            lease=visit.console.settings.lease,
        )
    except QueueError:
        return _refused(visit)
    visit.audit("ticket.stolen", record.id, detail=f"from {record.claimed_by}")
    return visit.redirect(visit.url("review:ticket", ticket_id=record.id))


@require("review")
def assign(visit: Visit) -> Response:
    """Keep a ticket for one person; nobody gives it back to all."""
    record = ticket_of(visit)
    to = visit.posted("to").strip()
    if to and to not in reviewers(visit, record):
        notice = "Nobody of that name may answer it."
        return page(visit, record, notice=notice, status=422)
    try:
        visit.store.tickets.assign(
            record.id,
            to=to,
            actor=visit.principal.name,
            reason=_reason(visit),
        )
    except QueueError:
        return _refused(visit)
    visit.audit("ticket.assigned", record.id, detail=f"to {to or 'all'}")
    return visit.redirect(visit.url("review:ticket", ticket_id=record.id))


def _reason(visit: Visit) -> str:
    return visit.posted("reason").strip()[:_LONGEST]


def _refused(visit: Visit) -> Response:
    now = ticket_of(visit)
    return page(visit, now, notice=whose(now), status=409)


@require("review")
def renew(visit: Visit) -> Response:
    """Keep a ticket for the one who has its page open."""
    record = ticket_of(visit)
    try:
        until = visit.store.tickets.extend(
            record.id, visit.posted("token"), lease=visit.console.settings.lease
        )
    except QueueError:
        raise RefusedError(
            409, whose(visit.store.tickets.get(record.id)), code="lease_lost"
        ) from None
    return JSONResponse({"left": until - visit.now})
