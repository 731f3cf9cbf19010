"""The durable store: breaker states, activity, evidence, and people's tickets."""

from __future__ import annotations

from ._location import spill_folder
from ._open import open_store, store_path
from .answers import answer_violations
from .backend import Store, StoreHealth
from .evidence import EvidenceRow, EvidenceStore, Signature
from .problems import (
    AnswerRefusedError,
    IdempotencyError,
    LeaseLostError,
    QueueFullError,
    RoleRequiredError,
    StoreBusyError,
    StoreFullError,
    TicketStateError,
    TicketUnknownError,
)
from .protocol import ActivityStore, BreakerRow, BreakerStore
from .sqlite import SqliteStore
from .tickets import (
    CLOSED,
    LEASE,
    WAITING,
    Enqueued,
    NewTicket,
    QueueStats,
    TicketEvent,
    TicketRecord,
    TicketState,
    TicketStore,
    fingerprint,
    new_id,
)

__all__ = [
    "CLOSED",
    "LEASE",
    "WAITING",
    "ActivityStore",
    "AnswerRefusedError",
    "BreakerRow",
    "BreakerStore",
    "Enqueued",
    "EvidenceRow",
    "EvidenceStore",
    "IdempotencyError",
    "LeaseLostError",
    "NewTicket",
    "QueueFullError",
    "QueueStats",
    "RoleRequiredError",
    "Signature",
    "SqliteStore",
    "Store",
    "StoreBusyError",
    "StoreFullError",
    "StoreHealth",
    "TicketEvent",
    "TicketRecord",
    "TicketState",
    "TicketStateError",
    "TicketStore",
    "TicketUnknownError",
    "answer_violations",
    "fingerprint",
    "new_id",
    "open_store",
    "spill_folder",
    "store_path",
]
