"""Who is told when a ticket is closed, and how far that got."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

__all__ = ["Callback", "CallbackState", "CallbackStore"]

CallbackState = Literal["waiting", "due", "sent", "dead"]
"""`waiting` for the end of its ticket, `due`, `sent`, or `dead`: given up."""
SENDING: Final = 60.0
"""Seconds that whoever takes a callback has to send it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One URL that is told of one ticket's end.

    Attributes:
        id: The same on every try, for receivers that tell repeats by it.
        ticket_id: The ticket.
        url: Where it is sent.
        state: `waiting` for the ticket's end, `due`, `sent` or `dead`.
        attempts: Tries so far, a running one included.
        next_at: Epoch seconds of the next try.
        lease_token: Of the running try.
        result: What the last try gave, one line.
    """

    id: str
    ticket_id: str
    url: str
    state: CallbackState
    attempts: int
    next_at: float
    lease_token: str
    result: str


class CallbackStore(Protocol):
    """The callbacks of all tickets; each try is an event of its ticket.

    Every method raises `StoreError` when the store fails.
    """

    def take(
        self, *, ticket_id: str | None = None, lease: float = SENDING
    ) -> Callback | None:
        """Take the next callback that is due, so that nobody else sends it meanwhile.

        Args:
            ticket_id: Only one of this ticket.
            lease: Seconds after which it is due again, if nothing is heard of it.
        """
        ...

    def sent(self, callback: Callback, *, result: str) -> bool:
        """Record that it arrived; False when it is somebody else's by now."""
        ...

    def failed(self, callback: Callback, *, result: str, retry: float | None) -> bool:
        """Record that it did not arrive.

        Args:
            callback: As `take` gave it.
            result: Why, one line.
            retry: Seconds until the next try; None gives it up.

        Returns:
            False when it is somebody else's by now.
        """
        ...

    def list(
        self,
        *,
        ticket_id: str | None = None,
        states: Collection[CallbackState] = ("due", "dead"),
        limit: int = 100,
    ) -> Sequence[Callback]:
        """Return callbacks, oldest ticket first."""
        ...
