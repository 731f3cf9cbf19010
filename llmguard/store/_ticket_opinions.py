"""Several people's answers to one ticket: independent, then compared."""

from __future__ import annotations

from collections.abc import Sequence

from . import _ticket_steps as steps
from ._database import Connection
from ._ids import new_token
from ._ticket_labels import learn
from ._ticket_rows import decode
from .policies import agreed
from .problems import ReviewedError
from .tickets import Opinion, TicketRecord, TicketState

__all__ = ["listed", "opine", "refuse_second", "said_before"]


def listed(reader: Connection, ticket_id: str) -> list[Opinion]:
    """Return the answers to a ticket so far, oldest first."""
    rows = reader.execute(
        "SELECT ticket_id, reviewer, at, answer FROM ticket_opinions "
        "WHERE ticket_id = ? ORDER BY at, reviewer",
        (ticket_id,),
    )
    return [
        Opinion(
            ticket_id=row["ticket_id"],
            reviewer=row["reviewer"],
            at=row["at"],
            answer=decode(row["answer"]),
        )
        for row in rows
    ]


def refuse_second(connection: Connection, ticket: TicketRecord, reviewer: str) -> None:
    """Raise `ReviewedError` when this person has given an answer to the ticket."""
    if not ticket.opinions:
        return
    found = connection.execute(
        "SELECT 1 FROM ticket_opinions WHERE ticket_id = ? AND reviewer = ?",
        (ticket.id, reviewer),
    ).fetchone()
    if found is not None:
        raise ReviewedError(
            f"{reviewer!r} has answered ticket {ticket.id!r}, which waits for "
            "somebody else's answer"
        )


def said_before(
    connection: Connection, ticket: TicketRecord, token: str, text: str
) -> bool:
    """Tell whether exactly this opinion was given under this token."""
    if not ticket.opinions:
        return False
    found = connection.execute(
        "SELECT 1 FROM ticket_opinions "
        "WHERE ticket_id = ? AND token = ? AND answer = ?",
        (ticket.id, token, text),
    ).fetchone()
    return found is not None


def opine(
    connection: Connection,
    ticket: TicketRecord,
    text: str,
    *,
    now: float,
    reviewer: str,
) -> TicketRecord:
    """Keep one answer, and close the ticket if enough of them agree."""
    connection.execute(
        "INSERT INTO ticket_opinions VALUES (?, ?, ?, ?, ?)",
        (ticket.id, reviewer, now, ticket.lease_token, text),
    )
    given = listed(connection, ticket.id)
    rule = ticket.agreement
    need = rule.wanted(ticket.reviewers)
    place = agreed([one.answer for one in given], rule.on, need)
    if place is not None:
        return _agree(connection, ticket, given, place, now=now, reviewer=reviewer)
    asked_all = len(given) >= ticket.reviewers
    if asked_all and not rule.adjudicator and len(given) >= rule.most(ticket.reviewers):
        return _give_up(connection, ticket, given, now, reviewer)
    adjudicate = asked_all and bool(rule.adjudicator)
    return _ask_on(
        connection, ticket, given, now=now, reviewer=reviewer, adjudicate=adjudicate
    )


def _agree(
    connection: Connection,
    ticket: TicketRecord,
    given: Sequence[Opinion],
    place: int,
    *,
    now: float,
    reviewer: str,
) -> TicketRecord:
    closed = steps.move(
        connection,
        ticket,
        TicketState.ANSWERED,
        now=now,
        event="answered",
        actor=reviewer,
        detail=f"{len(given)} answers, as {given[place].reviewer} said",
        lease_until=None,
        closed_by=reviewer,
        closed_at=now,
        opinions=len(given),
        answer=_text_of(connection, ticket, given[place].reviewer),
    )
    learn(connection, closed, now)
    return closed


def _text_of(connection: Connection, ticket: TicketRecord, reviewer: str) -> str:
    row = connection.execute(
        "SELECT answer FROM ticket_opinions WHERE ticket_id = ? AND reviewer = ?",
        (ticket.id, reviewer),
    ).fetchone()
    return str(row[0])


def _give_up(
    connection: Connection,
    ticket: TicketRecord,
    given: Sequence[Opinion],
    now: float,
    reviewer: str,
) -> TicketRecord:
    return steps.move(
        connection,
        ticket,
        TicketState.DEAD,
        now=now,
        event="dead",
        actor=reviewer,
        detail=f"{len(given)} answers and no agreement",
        lease_until=None,
        claimed_by="",
        closed_at=now,
        opinions=len(given),
        note=f"{len(given)} answers and no agreement",
    )


def _ask_on(
    connection: Connection,
    ticket: TicketRecord,
    given: Sequence[Opinion],
    *,
    now: float,
    reviewer: str,
    adjudicate: bool,
) -> TicketRecord:
    """Open the ticket for the next person, or for whoever decides."""
    rule = ticket.agreement
    more: dict[str, object] = {}
    if adjudicate:
        more = {"role": rule.adjudicator, "adjudicating": 1}
    detail = f"answer {len(given)} of {max(ticket.reviewers, len(given) + 1)}"
    return steps.move(
        connection,
        ticket,
        TicketState.OPEN,
        now=now,
        event="opinion",
        actor=reviewer,
        detail=f"{detail}; {rule.adjudicator!r} decides" if adjudicate else detail,
        claimed_by="",
        # Another token than before: the turn is over, a repeat is known by its row.
        lease_token=new_token(),
        lease_until=None,
        assignee="",
        opinions=len(given),
        **more,
    )
