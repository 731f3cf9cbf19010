"""The human queue: tickets that people answer, and everything around them.

What a store can do with tickets is `llmguard.store.TicketStore` (`store.tickets`),
with `store.callbacks` and `store.feedback` beside it; here is what programs build on
that: tickets to wait for, callbacks, cases, calibration, metrics.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmguard.store import Agreement, Expiry

    from ._calibrate import Calibration, CutOff, Reviewed, calibrate, reviewed_of
    from ._callbacks import CallbackSender, SentCallbacks, verify_callback
    from ._cases import CasesWritten, case_document, export_cases
    from ._content import OutputRedactor, Redactor
    from ._metrics import export_metrics
    from ._sender import Sending, keep_sending
    from ._store import StoreLike, opened, replayed
    from ._ticket import Ticket, TicketClosedError, get_ticket

__all__ = [
    "Agreement",
    "Calibration",
    "CallbackSender",
    "CasesWritten",
    "CutOff",
    "Expiry",
    "OutputRedactor",
    "Redactor",
    "Reviewed",
    "Sending",
    "SentCallbacks",
    "StoreLike",
    "Ticket",
    "TicketClosedError",
    "calibrate",
    "case_document",
    "export_cases",
    "export_metrics",
    "get_ticket",
    "keep_sending",
    "opened",
    "replayed",
    "reviewed_of",
    "verify_callback",
]

_HOMES: Final = {
    "_calibrate": ("Calibration", "CutOff", "Reviewed", "calibrate", "reviewed_of"),
    "_callbacks": ("CallbackSender", "SentCallbacks", "verify_callback"),
    "_cases": ("CasesWritten", "case_document", "export_cases"),
    "_content": ("OutputRedactor", "Redactor"),
    "_metrics": ("export_metrics",),
    "_sender": ("Sending", "keep_sending"),
    "_store": ("StoreLike", "opened", "replayed"),
    "_ticket": ("Ticket", "TicketClosedError", "get_ticket"),
}
# Resolved on first use: a program that only asks pays for neither HTTP nor statistics.
_LAZY: Final = MappingProxyType(
    {name: f".{home}" for home, names in _HOMES.items() for name in names}
    | dict.fromkeys(("Agreement", "Expiry"), "llmguard.store")
)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_LAZY[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
