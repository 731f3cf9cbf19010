"""The durable store: breakers, activity, evidence, events, tickets, the ledger."""

from __future__ import annotations

from ._location import spill_folder
from ._open import open_store, store_exists, store_name, store_path
from .answers import answer_violations
from .backend import Store, StoreHealth
from .calls import CallFilter, CallGroup, CallRow, CallStore
from .counts import CountRow, CountStore
from .events import Event, EventStore
from .evidence import EvidenceRow, EvidenceStore, Signature
from .experiments import (
    Arm,
    Experiment,
    ExperimentConflictError,
    ExperimentError,
    ExperimentStore,
    NewExperiment,
)
from .ledger import (
    MAX_WEIGHT,
    Action,
    Entry,
    LedgerCheck,
    LedgerConflictError,
    LedgerError,
    LedgerMoveError,
    LedgerStore,
    NewEntry,
    RouteState,
    Stage,
)
from .ledger_moves import fold, judge, legal_moves, step
from .monitoring import BaselineRow, MonitorStore, SketchRow
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
from .protocol import ActivityStore, BreakerCount, BreakerRow, BreakerStore
from .shadow import ShadowCount, ShadowPair, ShadowRun, ShadowStore, ShadowTally
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
from .traffic import AppliedRow, ArmRow, ExposureRow, ServedRow, TrafficStore

__all__ = [
    "CLOSED",
    "LEASE",
    "MAX_WEIGHT",
    "WAITING",
    "Action",
    "ActivityStore",
    "AnswerRefusedError",
    "AppliedRow",
    "Arm",
    "ArmRow",
    "BaselineRow",
    "BreakerCount",
    "BreakerRow",
    "BreakerStore",
    "CallFilter",
    "CallGroup",
    "CallRow",
    "CallStore",
    "CountRow",
    "CountStore",
    "Enqueued",
    "Entry",
    "Event",
    "EventStore",
    "EvidenceRow",
    "EvidenceStore",
    "Experiment",
    "ExperimentConflictError",
    "ExperimentError",
    "ExperimentStore",
    "ExposureRow",
    "IdempotencyError",
    "LeaseLostError",
    "LedgerCheck",
    "LedgerConflictError",
    "LedgerError",
    "LedgerMoveError",
    "LedgerStore",
    "MonitorStore",
    "NewEntry",
    "NewExperiment",
    "NewTicket",
    "QueueFullError",
    "QueueStats",
    "RoleRequiredError",
    "RouteState",
    "ServedRow",
    "ShadowCount",
    "ShadowPair",
    "ShadowRun",
    "ShadowStore",
    "ShadowTally",
    "Signature",
    "SketchRow",
    "SqliteStore",
    "Stage",
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
    "TrafficStore",
    "answer_violations",
    "fingerprint",
    "fold",
    "judge",
    "legal_moves",
    "new_id",
    "open_store",
    "spill_folder",
    "step",
    "store_exists",
    "store_name",
    "store_path",
]
