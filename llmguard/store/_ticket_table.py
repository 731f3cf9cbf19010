"""What the parts of the human queue share."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Clock
from . import _ticket_steps as steps
from ._database import Connection, Database
from .problems import TicketStateError
from .tickets import MAX_LOSSES, TicketRecord

__all__ = ["TicketTable", "not_in"]


class TicketTable:
    """The tickets of a store.

    Args:
        database: Where the tickets are.
        clock: Gives the epoch seconds of leases and records.
        max_losses: Leases that may lapse before a ticket is `dead`.
        answered: Is told of each answered ticket, once it is durable.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        max_losses: int = MAX_LOSSES,
        answered: Callable[[TicketRecord], object] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_losses = max_losses
        self._answered = answered

    def _sweep(self, connection: Connection, now: float, limit: int) -> int:
        return steps.sweep(
            connection, now=now, max_losses=self._max_losses, limit=limit
        )

    def _current(
        self, connection: Connection, ticket_id: str, now: float
    ) -> TicketRecord:
        ticket = steps.fetch(connection, ticket_id, lock=True)
        return steps.lapse(connection, ticket, now=now, max_losses=self._max_losses)


def not_in(ticket: TicketRecord, wanted: str) -> TicketStateError:
    """Return the error for a step that is not possible in the ticket's state."""
    return TicketStateError(
        f"ticket {ticket.id!r} is {ticket.state}, not {wanted}; "
        f"`llmguard queue show {ticket.id}` shows its history",
        ticket_id=ticket.id,
        state=ticket.state,
    )
