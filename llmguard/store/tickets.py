"""What a ticket is, and what a durable queue of tickets does.

A ticket moves `open -> claimed -> answered -> delivered`, or ends as `rejected`,
`expired`, `cancelled` or `dead`. Every step is one conditional update and one event
row in the same transaction. A claim is a lease with a fencing token: whoever claims
next gets another token, and the old one answers nothing any more.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ._ids import new_id

__all__ = [
    "CLOSED",
    "LEASE",
    "MAX_LOSSES",
    "WAITING",
    "Enqueued",
    "NewTicket",
    "QueueStats",
    "TicketEvent",
    "TicketRecord",
    "TicketState",
    "TicketStore",
    "fingerprint",
    "new_id",
]

LEASE: Final = 900.0
"""Seconds a claim lasts: a person reads, thinks, and is called away for a moment."""

MAX_LOSSES: Final = 5
"""Leases that may lapse before a ticket is `dead`: it is not the reviewers' doing."""


class TicketState(enum.StrEnum):
    """Where a ticket is on its way."""

    OPEN = "open"
    CLAIMED = "claimed"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    """A caller has fetched the answer."""
    REJECTED = "rejected"
    """A person decided not to answer."""
    EXPIRED = "expired"
    """Nobody took it in time; nobody decided anything."""
    CANCELLED = "cancelled"
    """The caller no longer wants it."""
    DEAD = "dead"
    """Too many leases lapsed; somebody has to look at why."""


WAITING: Final = frozenset({TicketState.OPEN, TicketState.CLAIMED})
CLOSED: Final = frozenset(TicketState) - WAITING


def fingerprint(*parts: object) -> str:
    """Return a digest of JSON-able content: equal content, equal digest."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicket:
    """A question for a person, before the store has it.

    Attributes:
        id: Chosen by the caller (`new_id`), so that it is known even when the store
            is down and the ticket waits in the spill folder.
        queue: Name of the queue.
        key: Idempotency key: one key in one queue is one ticket, whatever is retried.
        fingerprint: Digest of the content (`fingerprint`): the same key with another
            one is refused; other keys with the same one may share a ticket.
        inputs: What the person sees, JSON-able.
        schema: JSON Schema of the answer; None when anything goes.
        schema_digest: Digest of the contract at the time of asking.
        function: Qualified name of the guarded function.
        call_id: Id of the call that asks.
        contract: Name of the contract.
        pin: Id of the pin that failed last, empty when none did.
        title: One line for lists.
        instructions: What the person should know.
        reasons: Why each upper tier failed: `tier`, `kind`, `detail`, `violations`.
        outputs: What upper tiers proposed, JSON-able.
        labels: Labels of the call.
        role: Role a reviewer must have; empty for everybody.
        priority: Higher comes first.
        due_at: Epoch seconds by which an answer was promised; orders equal priority.
        expires_at: Epoch seconds after which an untaken ticket is `expired`.
        max_open: Tickets that may wait in this queue, this one included.
        coalesce: Join a waiting ticket with the same fingerprint.
    """

    id: str
    queue: str
    key: str
    fingerprint: str
    inputs: Mapping[str, object]
    schema: Mapping[str, object] | None = None
    schema_digest: str = ""
    function: str = ""
    call_id: str = ""
    contract: str = ""
    pin: str = ""
    title: str = ""
    instructions: str = ""
    reasons: Sequence[Mapping[str, object]] = ()
    outputs: Sequence[object] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    role: str = ""
    priority: int = 0
    due_at: float | None = None
    expires_at: float | None = None
    max_open: int | None = None
    coalesce: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRecord:
    """A ticket as the store has it; times are epoch seconds.

    The content is that of `NewTicket`. `lease_token` is a secret of the holder.

    Attributes:
        state: Where it is.
        waiters: Calls that share it.
        claims: Times it was claimed.
        losses: Leases that lapsed.
        answer: The answer as JSON value; only when `answered` says so.
        answered: True when `answer` is one.
        closed_by: Who answered, rejected or cancelled it.
        note: Why it was rejected, cancelled or declared dead.
    """

    id: str
    queue: str
    state: TicketState
    role: str
    priority: int
    created_at: float
    due_at: float | None
    expires_at: float | None
    fingerprint: str
    waiters: int
    claims: int
    losses: int
    first_claimed_at: float | None
    claimed_by: str
    lease_token: str
    lease_until: float | None
    answer: object
    answered: bool
    closed_by: str
    closed_at: float | None
    note: str
    function: str
    call_id: str
    contract: str
    schema_digest: str
    schema: Mapping[str, object] | None
    pin: str
    title: str
    instructions: str
    inputs: Mapping[str, object]
    reasons: Sequence[Mapping[str, object]]
    outputs: Sequence[object]
    labels: Mapping[str, str]

    def lapsed(self, now: float) -> bool:
        """Return True when a sweep would change it: expired, or its lease is over."""
        if self.state is TicketState.CLAIMED:
            return self.lease_until is not None and self.lease_until <= now
        if self.state is TicketState.OPEN:
            return self.expires_at is not None and self.expires_at <= now
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """One step of a ticket's history."""

    ticket_id: str
    at: float
    event: str
    from_state: str
    to_state: str
    actor: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueued:
    """What became of a `NewTicket`.

    Attributes:
        ticket: The ticket that now stands for it; its `id` may be an older one.
        created: True when it is a new ticket.
        coalesced: True when another call had already asked the same.
    """

    ticket: TicketRecord
    created: bool
    coalesced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How one queue does.

    Attributes:
        queue: Its name.
        counts: Tickets per state, over all time.
        oldest: Age in seconds of the oldest waiting ticket; None when none waits.
        late: Waiting tickets past their due time.
        to_claim: Median seconds from asking to the first claim, last 24 h; None
            when nothing was closed.
        to_close: Median seconds from asking to answer or rejection, likewise.
        lease_losses: Leases that lapsed on tickets closed in the last 24 h.
    """

    queue: str
    counts: Mapping[str, int]
    oldest: float | None
    late: int
    to_claim: float | None
    to_close: float | None
    lease_losses: int


class TicketStore(Protocol):
    """A durable queue of tickets. Everything it acknowledges survives a crash.

    Every method raises `StoreError` when the store fails. `actor` and `reviewer` are
    names for the record; the store does not authenticate them.
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
    ) -> Sequence[TicketRecord]:
        """Return tickets, next to be claimed first."""
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

        Returns None when nothing is open for these roles.

        Raises:
            TicketUnknownError, TicketStateError, LeaseLostError, RoleRequiredError:
                The given ticket cannot be had.
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
        sent again under the same token is acknowledged again.

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

    def events(self, ticket_id: str) -> Sequence[TicketEvent]:
        """Return a ticket's history, oldest first."""
        ...

    def counts(self, queue: str | None = None) -> Mapping[str, Mapping[str, int]]:
        """Return tickets per queue and state; costs the same at any depth."""
        ...

    def stats(self, queue: str | None = None) -> Sequence[QueueStats]:
        """Return how each queue does, by name."""
        ...
