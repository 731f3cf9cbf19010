"""The human queue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ..clock import Clock
from ..errors import QueueError
from ..outcome import Violation
from . import _ticket_steps as steps
from ._database import Connection, Database
from ._ticket_enqueue import enqueue
from ._ticket_queries import counts, find, listing, stats
from ._ticket_rows import event, record
from .answers import answer_violations, encode_answer
from .problems import AnswerRefusedError, LeaseLostError, TicketStateError
from .tickets import (
    LEASE,
    MAX_LOSSES,
    WAITING,
    Enqueued,
    NewTicket,
    QueueStats,
    TicketEvent,
    TicketRecord,
    TicketState,
)

__all__ = ["SqlTickets"]

_SWEEP = 100
_ACKNOWLEDGED = frozenset({TicketState.ANSWERED, TicketState.DELIVERED})


class SqlTickets:
    """Implements `TicketStore`; see there for what each method promises.

    Args:
        database: Where the tickets are.
        clock: Gives the epoch seconds of leases and records.
        max_losses: Leases that may lapse before a ticket is `dead`.
    """

    def __init__(
        self, database: Database, *, clock: Clock, max_losses: int = MAX_LOSSES
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_losses = max_losses

    def enqueue(self, new: NewTicket, *, timeout: float = 10.0) -> Enqueued:
        """Accept a ticket durably, or return the one its key already stands for."""
        now = self._clock.time()
        return self._database.write(
            lambda connection: enqueue(
                connection, new, now=now, max_losses=self._max_losses
            ),
            timeout=timeout,
            locks=_locks(new),
        )

    def get(self, ticket_id: str) -> TicketRecord:
        """Return a ticket, by id or by one of its idempotency keys."""
        row = self._database.query(lambda reader: steps.row_of(reader, ticket_id))
        if row is None:
            raise steps.unknown(ticket_id)
        return record(row)

    def find(self, part: str) -> Sequence[str]:
        """Return up to 10 ids that begin or end with `part`."""
        return self._database.query(lambda reader: find(reader, part))

    def list(
        self,
        *,
        queue: str | None = None,
        states: Collection[TicketState] = WAITING,
        limit: int = 50,
    ) -> Sequence[TicketRecord]:
        """Return tickets, next to be claimed first."""
        return self._database.query(
            lambda reader: listing(reader, queue=queue, states=states, limit=limit)
        )

    def claim(
        self,
        *,
        reviewer: str,
        queue: str | None = None,
        ticket_id: str | None = None,
        roles: Collection[str] = (),
        lease: float = LEASE,
    ) -> TicketRecord | None:
        """Lease the next ticket, or the given one, to a reviewer."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord | None:
            self._sweep(connection, now, _SWEEP)
            if ticket_id is None:
                ticket = steps.next_open(connection, queue=queue, roles=roles)
                if ticket is None:
                    return None
            else:
                ticket = self._current(connection, ticket_id, now)
                steps.entitle(ticket, token=None, roles=roles)
            return steps.claim(
                connection, ticket, now=now, reviewer=reviewer, lease=lease
            )

        return self._database.write(job, spare=True, locks=())

    def extend(self, ticket_id: str, token: str, *, lease: float = LEASE) -> float:
        """Renew a lease and return its new end."""
        until = self._clock.time() + lease

        def job(connection: Connection) -> None:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            steps.entitle(ticket, token=token, roles=())
            if ticket.state is not TicketState.CLAIMED:
                raise LeaseLostError(
                    f"the lease on ticket {ticket.id!r} ended; claim it again: "
                    f"`llmguard queue claim {ticket.id}`",
                    ticket_id=ticket.id,
                )
            connection.execute(
                "UPDATE tickets SET lease_until = ? WHERE id = ?", (until, ticket.id)
            )

        self._database.write(job, spare=True, locks=())
        return until

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
        violations = answer_violations(self.get(ticket_id).schema, value)
        if violations:
            raise AnswerRefusedError(
                _refusal(ticket_id, violations), violations=violations
            )
        text = encode_answer(value)

        def repeated(ticket: TicketRecord) -> bool:
            return (
                ticket.state in _ACKNOWLEDGED
                and token == ticket.lease_token
                and encode_answer(ticket.answer) == text
            )

        return self._settle(
            ticket_id,
            TicketState.ANSWERED,
            reviewer=reviewer,
            token=token,
            roles=roles,
            repeated=repeated,
            answer=text,
        )

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
        return self._settle(
            ticket_id,
            TicketState.REJECTED,
            reviewer=reviewer,
            token=token,
            roles=roles,
            repeated=lambda _: False,
            note=reason,
        )

    def release(
        self, ticket_id: str, *, actor: str, token: str | None = None, reason: str = ""
    ) -> TicketRecord:
        """End a lease early, by its token or for a reason."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if ticket.state is not TicketState.CLAIMED:
                raise _not_in(ticket, "claimed, so there is no lease to release")
            if token is not None or not reason:
                steps.entitle(ticket, token=token, roles=())
            return steps.move(
                connection,
                ticket,
                TicketState.OPEN,
                now=now,
                event="released",
                actor=actor,
                detail=reason,
                lease_token="",
                lease_until=None,
                claimed_by="",
            )

        return self._database.write(job, spare=True, locks=())

    def cancel(self, ticket_id: str, *, actor: str, reason: str) -> TicketRecord:
        """Close a waiting ticket that its caller no longer needs."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if ticket.state not in WAITING:
                raise _not_in(ticket, "waiting, so there is nothing to cancel")
            return steps.move(
                connection,
                ticket,
                TicketState.CANCELLED,
                now=now,
                event="cancelled",
                actor=actor,
                detail=reason,
                closed_at=now,
                closed_by=actor,
                note=reason,
            )

        return self._database.write(job, spare=True, locks=())

    def deliver(self, ticket_id: str, *, actor: str = "caller") -> TicketRecord:
        """Record that a caller fetched the answer, and return the ticket."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if ticket.state is TicketState.DELIVERED:
                return ticket
            if ticket.state is not TicketState.ANSWERED:
                raise _not_in(ticket, "answered, so there is nothing to deliver")
            return steps.move(
                connection,
                ticket,
                TicketState.DELIVERED,
                now=now,
                event="delivered",
                actor=actor,
            )

        return self._database.write(job, spare=True, locks=())

    def sweep(self, *, limit: int = 1000) -> int:
        """Reopen lapsed leases and expire untaken tickets; returns how many."""
        now = self._clock.time()
        return self._database.write(
            lambda connection: self._sweep(connection, now, limit), locks=()
        )

    def events(self, ticket_id: str) -> Sequence[TicketEvent]:
        """Return a ticket's history, oldest first."""
        rows = self._database.read(
            "SELECT * FROM ticket_events WHERE ticket_id = ? ORDER BY seq",
            (self.get(ticket_id).id,),
        )
        return [event(row) for row in rows]

    def counts(self, queue: str | None = None) -> Mapping[str, Mapping[str, int]]:
        """Return tickets per queue and state."""
        return self._database.query(lambda reader: counts(reader, queue))

    def stats(self, queue: str | None = None) -> Sequence[QueueStats]:
        """Return how each queue does, by name."""
        now = self._clock.time()
        return self._database.query(lambda reader: stats(reader, queue, now))

    def _sweep(self, connection: Connection, now: float, limit: int) -> int:
        return steps.sweep(
            connection, now=now, max_losses=self._max_losses, limit=limit
        )

    def _current(
        self, connection: Connection, ticket_id: str, now: float
    ) -> TicketRecord:
        ticket = steps.fetch(connection, ticket_id, lock=True)
        return steps.lapse(connection, ticket, now=now, max_losses=self._max_losses)

    def _settle(
        self,
        ticket_id: str,
        to: TicketState,
        *,
        reviewer: str,
        token: str | None,
        roles: Collection[str],
        repeated: Callable[[TicketRecord], bool],
        **values: object,
    ) -> TicketRecord:
        """Close a ticket by a person's decision, claiming it on the way if free."""
        now = self._clock.time()
        token = token or None  # an empty one would match a ticket never claimed

        def job(connection: Connection) -> TicketRecord | QueueError:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if repeated(ticket):
                return ticket
            if token is None or token != ticket.lease_token:
                ticket = self._current(connection, ticket_id, now)
            try:
                steps.entitle(ticket, token=token, roles=roles)
            except (LeaseLostError, TicketStateError) as error:
                _log_refusal(connection, ticket, now, to, reviewer)
                return error
            if token is None:
                ticket = steps.claim(
                    connection, ticket, now=now, reviewer=reviewer, lease=LEASE
                )
            return steps.move(
                connection,
                ticket,
                to,
                now=now,
                event=str(to),
                actor=reviewer,
                detail=str(values.get("note", "")),
                lease_until=None,
                closed_by=reviewer,
                closed_at=now,
                **values,
            )

        settled = self._database.write(job, spare=True, locks=())
        if isinstance(settled, QueueError):
            raise settled
        return settled


def _locks(new: NewTicket) -> Sequence[str]:
    # Who asks for the same at the same moment must find the other's ticket.
    key = f"ticket key {new.queue} {new.key}"
    twin = f"ticket twin {new.queue} {new.fingerprint}"
    return (key, twin) if new.coalesce else (key,)


def _log_refusal(
    connection: Connection,
    ticket: TicketRecord,
    now: float,
    to: TicketState,
    reviewer: str,
) -> None:
    # Kept in the same transaction as everything else: how often people lose their
    # work to a lapsed lease is worth knowing.
    state = str(ticket.state)
    steps.log(
        connection,
        ticket.id,
        now=now,
        event="refused",
        change=(state, state),
        actor=reviewer,
        detail=f"too late to be {to}",
    )


def _not_in(ticket: TicketRecord, wanted: str) -> TicketStateError:
    return TicketStateError(
        f"ticket {ticket.id!r} is {ticket.state}, not {wanted}; "
        f"`llmguard queue show {ticket.id}` shows its history",
        ticket_id=ticket.id,
        state=ticket.state,
    )


def _refusal(ticket_id: str, violations: Sequence[Violation]) -> str:
    lines = "\n".join(f"  {one}" for one in violations)
    return (
        f"the answer to ticket {ticket_id!r} does not fit its contract:\n{lines}\n"
        f"`llmguard queue show {ticket_id}` shows the fields"
    )
