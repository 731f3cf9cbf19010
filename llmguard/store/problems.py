"""What a store or a queue can refuse, one class per decision a caller can take.

* StoreError
    + StoreFullError       no space left: free some, or answer from the last resort
    + StoreBusyError       the write lock was not free in time: try again
* QueueError
    + TicketUnknownError   no such ticket
    + TicketStateError     the ticket is past that step
    + LeaseLostError       somebody else holds the ticket, or the token is an old one
    + RoleRequiredError    the ticket is for another role
    + AssignedError        the ticket is kept for another person
    + ReviewedError        this person has answered it before
    + IdempotencyError     the same key came with other content
    + QueueFullError       admission control said no
    + AnswerRefusedError   the answer breaks the contract's schema
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import QueueError, StoreError
from ..outcome import Violation

__all__ = [
    "AnswerRefusedError",
    "AssignedError",
    "IdempotencyError",
    "LeaseLostError",
    "QueueFullError",
    "ReviewedError",
    "RoleRequiredError",
    "StoreBusyError",
    "StoreFullError",
    "TicketStateError",
    "TicketUnknownError",
]


class StoreFullError(StoreError):
    """There is no space left where the store lives; nothing was written."""


class StoreBusyError(StoreError):
    """The write lock was not free in time.

    Attributes:
        written: False when nothing was written; None when the write had begun and
            may still succeed (repeat it: enqueues and answers are idempotent).
    """

    def __init__(self, message: str, *, written: bool | None = False) -> None:
        super().__init__(message)
        self.written = written


class TicketUnknownError(QueueError):
    """No ticket has that id."""


class TicketStateError(QueueError):
    """The ticket is in a state where that step is not possible.

    Attributes:
        ticket_id: Id of the ticket.
        state: The state it is in.
    """

    def __init__(self, message: str, *, ticket_id: str, state: str) -> None:
        super().__init__(message)
        self.ticket_id = ticket_id
        self.state = state


class LeaseLostError(QueueError):
    """Somebody else holds the ticket, or the token belongs to an earlier lease.

    Attributes:
        ticket_id: Id of the ticket.
        holder: Who holds it now; empty when nobody does.
    """

    def __init__(self, message: str, *, ticket_id: str, holder: str = "") -> None:
        super().__init__(message)
        self.ticket_id = ticket_id
        self.holder = holder


class RoleRequiredError(QueueError):
    """The ticket is for reviewers with another role."""


class AssignedError(QueueError):
    """The ticket is kept for one person, somebody else.

    Attributes:
        ticket_id: Id of the ticket.
        assignee: Who should take it.
    """

    def __init__(self, message: str, *, ticket_id: str, assignee: str) -> None:
        super().__init__(message)
        self.ticket_id = ticket_id
        self.assignee = assignee


class ReviewedError(QueueError):
    """This person has answered the ticket; it waits for others' answers."""


class IdempotencyError(QueueError):
    """The same idempotency key came with other content."""


class QueueFullError(QueueError):
    """The queue holds as many open tickets as it may.

    Attributes:
        queue: Name of the queue.
        limit: Open tickets it may hold.
    """

    def __init__(self, message: str, *, queue: str, limit: int) -> None:
        super().__init__(message)
        self.queue = queue
        self.limit = limit


class AnswerRefusedError(QueueError):
    """The answer breaks the contract's schema; `violations` say where and how."""

    def __init__(self, message: str, *, violations: Sequence[Violation]) -> None:
        super().__init__(message)
        self.violations = tuple(violations)
