"""The human queue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from . import _ticket_steps as steps
from ._database import NO_LIMIT, Connection
from ._ticket_answers import AnsweredTickets
from ._ticket_enqueue import enqueue
from ._ticket_next import next_open
from ._ticket_opinions import refuse_second
from ._ticket_people import SharedTickets
from ._ticket_queries import Listing, counts, cursor_of, find, listing, stats
from ._ticket_rows import event, record
from ._ticket_table import not_in
from .problems import LeaseLostError
from .tickets import (
    LEASE,
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


class SqlTickets(AnsweredTickets, SharedTickets):
    """Implements `TicketStore`; see there for what each method promises."""

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
        after: str = "",
        assignee: str | None = None,
        holder: str | None = None,
        roles: Collection[str] | None = None,
    ) -> Sequence[TicketRecord]:
        """Return tickets, next to be claimed first."""
        wanted = Listing(
            queue=queue,
            states=frozenset(states),
            limit=limit,
            after=cursor_of(after),
            assignee=assignee,
            holder=holder,
            roles=roles,
        )
        return self._database.query(lambda reader: listing(reader, wanted))

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
                ticket = next_open(
                    connection, queue=queue, roles=roles, reviewer=reviewer
                )
                if ticket is None:
                    return None
            else:
                ticket = self._current(connection, ticket_id, now)
                steps.entitle(ticket, token=None, roles=roles, reviewer=reviewer)
                refuse_second(connection, ticket, reviewer)
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

    def release(
        self, ticket_id: str, *, actor: str, token: str | None = None, reason: str = ""
    ) -> TicketRecord:
        """End a lease early, by its token or for a reason."""
        now = self._clock.time()

        def job(connection: Connection) -> TicketRecord:
            ticket = steps.fetch(connection, ticket_id, lock=True)
            if ticket.state is not TicketState.CLAIMED:
                raise not_in(ticket, "claimed, so there is no lease to release")
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
                raise not_in(ticket, "waiting, so there is nothing to cancel")
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
                raise not_in(ticket, "answered, so there is nothing to deliver")
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
        if not self._database.query(lambda reader: steps.any_lapsed(reader, now)):
            return 0  # the usual case, without a write
        return self._database.write(
            lambda connection: self._sweep(connection, now, limit), locks=()
        )

    def events(self, ticket_id: str, *, limit: int = NO_LIMIT) -> Sequence[TicketEvent]:
        """Return the latest steps of a ticket's history, oldest first."""
        rows = self._database.read(
            "SELECT * FROM ticket_events WHERE ticket_id = ? ORDER BY seq DESC LIMIT ?",
            (self.get(ticket_id).id, limit),
        )
        return [event(row) for row in reversed(rows)]

    def tail(self, after: int, *, limit: int = 500) -> Sequence[TicketEvent]:
        """Return events of all tickets whose `seq` is above `after`, in order."""
        rows = self._database.read(
            "SELECT * FROM ticket_events WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        )
        return [event(row) for row in rows]

    def last_seq(self) -> int:
        """Return the highest `seq` so far; 0 before any event."""
        rows = self._database.read("SELECT max(seq) FROM ticket_events")
        return int(rows[0][0] or 0)

    def counts(
        self, queue: str | None = None, *, roles: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, int]]:
        """Return tickets per queue and state."""
        return self._database.query(lambda reader: counts(reader, queue, roles))

    def stats(self, queue: str | None = None) -> Sequence[QueueStats]:
        """Return how each queue does, by name."""
        now = self._clock.time()
        return self._database.query(lambda reader: stats(reader, queue, now))


def _locks(new: NewTicket) -> Sequence[str]:
    # Who asks for the same at the same moment must find the other's ticket.
    key = f"ticket key {new.queue} {new.key}"
    twin = f"ticket twin {new.queue} {new.fingerprint}"
    return (key, twin) if new.coalesce else (key,)
