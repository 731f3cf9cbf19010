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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ._ids import new_id
from .policies import Agreement, Expiry

__all__ = [
    "CLOSED",
    "EVERY_ROLE",
    "LATE_CAP",
    "LEASE",
    "MAX_LOSSES",
    "WAITING",
    "Enqueued",
    "NewTicket",
    "Opinion",
    "QueueStats",
    "TicketEvent",
    "TicketRecord",
    "TicketState",
    "fingerprint",
    "new_id",
    "page_cursor",
]

LEASE: Final = 900.0
"""Seconds a claim lasts: a person reads, thinks, and is called away for a moment."""

MAX_LOSSES: Final = 5
"""Leases that may lapse before a ticket is `dead`: it is not the reviewers' doing."""

_EQUAL: Final = Agreement()
_EXPIRE: Final = Expiry()
LATE_CAP: Final = 100
"""What `stats` counts of late tickets and callbacks; more are told as this many."""


EVERY_ROLE: Final = "*"
"""Among a reviewer's roles: all of them."""


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
"""States of a ticket that somebody may still answer."""
CLOSED: Final = frozenset(TicketState) - WAITING
"""States that a ticket never leaves."""


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
        outputs: What upper tiers proposed: `tier`, `pin`, `kind`, `confidence` and
            `value`, or `text` where it was no value.
        labels: Labels of the call.
        role: Role a reviewer must have; empty for everybody.
        priority: Higher comes first.
        due_at: Epoch seconds by which an answer was promised; orders equal priority.
        expires_at: Epoch seconds after which an untaken ticket is `expired`.
        max_open: Tickets that may wait in this queue, this one included.
        coalesce: Join a waiting ticket with the same fingerprint.
        assignee: The one person who should take it; empty for anybody.
        reviewers: People asked for an answer, each without seeing the others'.
        agreement: When their answers agree.
        expiry: What becomes of it when nobody took it by `expires_at`.
        callback: URL that is told when it is closed; empty for none.
        redacted: Whether `inputs` hide anything of what was asked.
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
    assignee: str = ""
    reviewers: int = 1
    agreement: Agreement = _EQUAL
    expiry: Expiry = _EXPIRE
    callback: str = ""
    redacted: bool = False


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
        opinions: Independent answers so far; `TicketStore.opinions` has them.
        adjudicating: True when those disagree and the next answer decides.
        callbacks: URLs that are told when it is closed.
        purged_at: When its content was deleted; None while it is there.
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
    assignee: str
    reviewers: int
    opinions: int
    adjudicating: bool
    agreement: Agreement
    expiry: Expiry
    callbacks: int
    redacted: bool
    purged_at: float | None

    def lapsed(self, now: float) -> bool:
        """Return True when a sweep would change it: expired, or its lease is over."""
        if self.state is TicketState.CLAIMED:
            return self.lease_until is not None and self.lease_until <= now
        if self.state is TicketState.OPEN:
            return self.expires_at is not None and self.expires_at <= now
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketEvent:
    """One step of a ticket's history; `seq` grows over all tickets of a store."""

    seq: int
    ticket_id: str
    at: float
    event: str
    from_state: str
    to_state: str
    actor: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """One of several independent answers to a ticket."""

    ticket_id: str
    reviewer: str
    at: float
    answer: object


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
        late: Waiting tickets past their due time, `LATE_CAP` at most.
        to_claim: Median seconds from asking to the first claim, last 24 h; None
            when nothing was closed.
        to_close: Median seconds from asking to answer or rejection, likewise.
        lease_losses: Leases that lapsed on tickets closed in the last 24 h.
        callbacks_due: Callbacks that wait to be sent, `LATE_CAP` at most.
        callbacks_dead: Callbacks that were given up, `LATE_CAP` at most.
    """

    queue: str
    counts: Mapping[str, int]
    oldest: float | None
    late: int
    to_claim: float | None
    to_close: float | None
    lease_losses: int
    callbacks_due: int
    callbacks_dead: int


def page_cursor(record: TicketRecord) -> str:
    """Return where a page that ends with `record` ends, for `TicketStore.list`."""
    if record.state in WAITING:
        place = ["w", record.priority, record.due_at, record.id]
    else:
        place = ["c", record.closed_at, record.id]
    return json.dumps(place, separators=(",", ":"))
