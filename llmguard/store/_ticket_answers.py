"""How a ticket is closed by people: one answer, or several that agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..errors import QueueError
from ..outcome import Violation
from . import _ticket_steps as steps
from ._database import Connection
from ._ticket_labels import learn
from ._ticket_opinions import listed, opine, refuse_second, said_before
from ._ticket_table import TicketTable
from .answers import answer_violations, encode_answer
from .problems import AnswerRefusedError, LeaseLostError, TicketStateError
from .tickets import LEASE, Opinion, TicketRecord, TicketState

__all__ = ["AnsweredTickets"]

_ACKNOWLEDGED = frozenset({TicketState.ANSWERED, TicketState.DELIVERED})
_End = Callable[[Connection, TicketRecord, float], TicketRecord]


class AnsweredTickets(TicketTable):
    """Answers, rejections and opinions; see `TicketStore`."""

    def answer(
        self,
        ticket_id: str,
        value: object,
        *,
        reviewer: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Accept an answer, once."""
        ticket = self._database.query(lambda reader: steps.fetch(reader, ticket_id))
        violations = answer_violations(ticket.schema, value)
        if violations:
            raise AnswerRefusedError(
                _refusal(ticket_id, violations), violations=violations
            )
        text = encode_answer(value) or "null"

        def repeated(connection: Connection, ticket: TicketRecord) -> bool:
            if token and said_before(connection, ticket, token, text):
                return True
            return (
                ticket.state in _ACKNOWLEDGED
                and token == ticket.lease_token
                and encode_answer(ticket.answer) == text
            )

        def end(
            connection: Connection, ticket: TicketRecord, now: float
        ) -> TicketRecord:
            if ticket.reviewers > 1 and not ticket.adjudicating:
                return opine(connection, ticket, text, now=now, reviewer=reviewer)
            return _close(
                connection,
                ticket,
                TicketState.ANSWERED,
                now=now,
                reviewer=reviewer,
                detail="adjudicated" if ticket.adjudicating else "",
                answer=text,
            )

        done = self._settle(
            ticket_id,
            end,
            wanted="answered",
            reviewer=reviewer,
            token=token,
            roles=roles,
            repeated=repeated,
        )
        if self._answered is not None and done.state is TicketState.ANSWERED:
            self._answered(done)
        return done

    def reject(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Close a ticket unanswered, by a person's decision."""

        def end(
            connection: Connection, ticket: TicketRecord, now: float
        ) -> TicketRecord:
            return _close(
                connection,
                ticket,
                TicketState.REJECTED,
                now=now,
                reviewer=reviewer,
                detail=reason,
                note=reason,
            )

        return self._settle(
            ticket_id,
            end,
            wanted="rejected",
            reviewer=reviewer,
            token=token,
            roles=roles,
            repeated=lambda _connection, _ticket: False,
        )

    def opinions(self, ticket_id: str) -> Sequence[Opinion]:
        """Return the independent answers so far, oldest first."""
        return self._database.query(lambda reader: listed(reader, ticket_id))

    def _settle(
        self,
        ticket_id: str,
        end: _End,
        *,
        wanted: str,
        reviewer: str,
        token: str | None,
        roles: Collection[str],
        repeated: Callable[[Connection, TicketRecord], bool],
    ) -> TicketRecord:
        """End a person's turn at a ticket, claiming it on the way if it is free."""
        now = self._clock.time()
        token = token or None  # an empty one would match a ticket never claimed

        def job(connection: Connection) -> TicketRecord | QueueError:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if repeated(connection, ticket):
                return ticket
            if token is None or token != ticket.lease_token:
                ticket = self._current(connection, ticket_id, now)
            try:
                steps.entitle(ticket, token=token, roles=roles, reviewer=reviewer)
            except (LeaseLostError, TicketStateError) as error:
                steps.note(
                    connection,
                    ticket,
                    now=now,
                    event="refused",
                    actor=reviewer,
                    # How often people lose work to a lapsed lease is worth knowing.
                    detail=f"not {wanted}: held by another lease, or closed",
                )
                return error
            refuse_second(connection, ticket, reviewer)
            if token is None:
                ticket = steps.claim(
                    connection, ticket, now=now, reviewer=reviewer, lease=LEASE
                )
            return end(connection, ticket, now)

        settled = self._database.write(job, spare=True, locks=())
        if isinstance(settled, QueueError):
            raise settled
        return settled


def _close(
    connection: Connection,
    ticket: TicketRecord,
    to: TicketState,
    *,
    now: float,
    reviewer: str,
    detail: str,
    **values: object,
) -> TicketRecord:
    closed = steps.move(
        connection,
        ticket,
        to,
        now=now,
        event=str(to),
        actor=reviewer,
        detail=detail,
        lease_until=None,
        closed_by=reviewer,
        closed_at=now,
        **values,
    )
    if to is TicketState.ANSWERED:
        learn(connection, closed, now)
    return closed


def _refusal(ticket_id: str, violations: Sequence[Violation]) -> str:
    lines = "\n".join(f"  {one}" for one in violations)
    return (
        f"the answer to ticket {ticket_id!r} does not fit its contract:\n{lines}\n"
        f"`llmguard queue show {ticket_id}` shows the fields"
    )
