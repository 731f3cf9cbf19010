"""What a durable queue of tickets does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from ._database import NO_LIMIT
from .tickets import (
    LEASE,
    WAITING,
    Enqueued,
    NewTicket,
    Opinion,
    QueueStats,
    TicketEvent,
    TicketRecord,
    TicketState,
)

__all__ = ["TicketStore"]


class TicketStore(Protocol):
    """A durable queue of tickets. Everything it acknowledges survives a crash.

    Every method raises `StoreError` when the store fails. `actor` and `reviewer` are
    names for the record; the store does not authenticate them. `roles` are those of
    the reviewer; `*` stands for all of them.
    """

    def enqueue(self, new: NewTicket, *, timeout: float = 10.0) -> Enqueued:
        """Accept a ticket durably, or return the one its key already stands for.

        Raises:
            IdempotencyError: The key is known with another fingerprint.
            QueueFullError: `max_open` tickets wait already.
        """
        ...

    def get(self, ticket_id: str) -> TicketRecord:
        """Return a ticket, or raise `TicketUnknownError`."""
        ...

    def find(self, part: str) -> Sequence[str]:
        """Return up to 10 ids that begin or end with `part`."""
        ...

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
        """Return tickets, next to be claimed first; then closed ones, latest first.

        Args:
            queue: Only of this queue.
            states: Only in these states.
            limit: So many at most.
            after: The `page_cursor` of the last ticket of the page before.
            assignee: Only those assigned to this person.
            holder: Only those that this person holds.
            roles: Only those that reviewers with these roles may take; None for all.

        Raises:
            QueueError: `after` is no cursor.
        """
        ...

    def claim(
        self,
        *,
        reviewer: str,
        queue: str | None = None,
        ticket_id: str | None = None,
        roles: Collection[str] = (),
        lease: float = LEASE,
    ) -> TicketRecord | None:
        """Lease the next ticket (or the given one) to a reviewer.

        Tickets that are assigned to others, and those that the reviewer has given an
        answer to, are left out; those that the reviewer skipped come last. Returns
        None when nothing is open for these roles.

        Raises:
            TicketUnknownError, TicketStateError, LeaseLostError, RoleRequiredError,
            AssignedError, ReviewedError: The given ticket cannot be had.
        """
        ...

    def extend(self, ticket_id: str, token: str, *, lease: float = LEASE) -> float:
        """Renew a lease and return its new end, or raise `LeaseLostError`."""
        ...

    def answer(
        self,
        ticket_id: str,
        value: object,
        *,
        reviewer: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Accept an answer, once. Without a token the ticket is claimed on the way.

        A late answer counts as long as nobody else took the ticket; the same answer
        sent again under the same token is acknowledged again. Where several people
        review, the ticket is open again for the next one, until their answers agree.

        Raises:
            AnswerRefusedError: It breaks the schema the ticket was asked with.
            TicketUnknownError, TicketStateError, LeaseLostError, RoleRequiredError:
                It is not this reviewer's to answer.
        """
        ...

    def reject(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Close a ticket unanswered, by a person's decision; raises as `answer`."""
        ...

    def release(
        self, ticket_id: str, *, actor: str, token: str | None = None, reason: str = ""
    ) -> TicketRecord:
        """End a lease early. Without its token a reason must be given."""
        ...

    def skip(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Pass a ticket over: others come first for it; raises as `answer`."""
        ...

    def steal(
        self,
        ticket_id: str,
        *,
        reviewer: str,
        reason: str,
        roles: Collection[str] = (),
        lease: float = LEASE,
    ) -> TicketRecord:
        """Take a ticket from whoever holds it or has it assigned; as `claim`."""
        ...

    def assign(
        self, ticket_id: str, *, to: str, actor: str, reason: str = ""
    ) -> TicketRecord:
        """Keep a waiting ticket for one person; `to=""` gives it back to all.

        A lease that somebody holds goes on.
        """
        ...

    def revive(
        self,
        ticket_id: str,
        *,
        actor: str,
        reason: str,
        expires_at: float | None = None,
    ) -> TicketRecord:
        """Open a dead or expired ticket again; its callbacks wait for its next end.

        A ticket that is closed otherwise only has its dead callbacks sent again.

        Raises:
            TicketStateError: There is nothing dead about it.
        """
        ...

    def purge(self, *, closed_before: float, actor: str, limit: int = 500) -> int:
        """Delete the content of tickets closed before then; returns how many.

        Inputs, outputs, answers and what people wrote go; ids, keys, states, times,
        names and digests stay, so that what happened can still be told.
        """
        ...

    def opinions(self, ticket_id: str) -> Sequence[Opinion]:
        """Return the independent answers so far, oldest first."""
        ...

    def cancel(self, ticket_id: str, *, actor: str, reason: str) -> TicketRecord:
        """Close a waiting ticket that its caller no longer needs."""
        ...

    def deliver(self, ticket_id: str, *, actor: str = "caller") -> TicketRecord:
        """Record that a caller fetched the answer, and return the ticket."""
        ...

    def sweep(self, *, limit: int = 1000) -> int:
        """Reopen lapsed leases and expire untaken tickets; returns how many.

        Needs no leader: claims and waiting callers sweep as they go.
        """
        ...

    def events(self, ticket_id: str, *, limit: int = NO_LIMIT) -> Sequence[TicketEvent]:
        """Return a ticket's history, oldest first; the latest `limit` steps of it."""
        ...

    def tail(self, after: int, *, limit: int = 500) -> Sequence[TicketEvent]:
        """Return events of all tickets whose `seq` is above `after`, in order.

        On a server, transactions that commit late appear behind later numbers: whoever
        follows reads a stretch before the last number again.
        """
        ...

    def last_seq(self) -> int:
        """Return the highest `seq` so far; 0 before any event."""
        ...

    def counts(
        self, queue: str | None = None, *, roles: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, int]]:
        """Return tickets per queue and state; costs the same at any depth.

        Args:
            queue: Of one queue; None for all.
            roles: Of those that reviewers with these roles may take; None for all.
        """
        ...

    def stats(self, queue: str | None = None) -> Sequence[QueueStats]:
        """Return how each queue does, by name."""
        ...
