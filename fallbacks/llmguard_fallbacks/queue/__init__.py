"""The human queue: tickets that people answer, and everything around them.

What a store can do with tickets is `llmguard.store.TicketStore` (`store.tickets`),
with `store.callbacks` and `store.feedback` beside it; here is what programs build on
that: tickets to wait for, callbacks, cases, calibration, metrics.
"""

from __future__ import annotations

from llmguard.store import Agreement, Expiry

from ._callbacks import CallbackSender, SentCallbacks, verify_callback
from ._content import OutputRedactor, Redactor
from ._sender import Sending, keep_sending
from ._store import StoreLike, opened, replayed
from ._ticket import Ticket, TicketClosedError, get_ticket

__all__ = [
    "Agreement",
    "CallbackSender",
    "Expiry",
    "OutputRedactor",
    "Redactor",
    "Sending",
    "SentCallbacks",
    "StoreLike",
    "Ticket",
    "TicketClosedError",
    "get_ticket",
    "keep_sending",
    "opened",
    "replayed",
    "verify_callback",
]
