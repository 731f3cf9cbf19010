"""The human queue: tickets that people answer, and everything around them."""

from __future__ import annotations

from ._content import Redactor
from ._store import StoreLike, opened, replayed
from ._ticket import Ticket, TicketClosedError, get_ticket

__all__ = [
    "Redactor",
    "StoreLike",
    "Ticket",
    "TicketClosedError",
    "get_ticket",
    "opened",
    "replayed",
]
