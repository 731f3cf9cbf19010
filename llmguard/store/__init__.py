"""The durable store: breakers, activity, evidence, events, tickets, the ledger."""

from __future__ import annotations

from ._location import spill_folder
from ._open import open_store, store_exists, store_name, store_path
from .answers import answer_violations
from .backend import Store, StoreHealth
from .callbacks import Callback, CallbackState, CallbackStore
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
from .feedback import CaseState, FeedbackStore, ProposedCase, TicketLabel
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
from .policies import Agreement, Expiry
from .problems import (
    AnswerRefusedError,
    AssignedError,
    IdempotencyError,
    LeaseLostError,
    QueueFullError,
    ReviewedError,
    RoleRequiredError,
    StoreBusyError,
    StoreFullError,
    TicketStateError,
    TicketUnknownError,
)
from .protocol import ActivityStore, BreakerCount, BreakerRow, BreakerStore
from .shadow import ShadowCount, ShadowPair, ShadowRun, ShadowStore, ShadowTally
from .sqlite import SqliteStore
from .ticket_store import TicketStore
from .tickets import (
    CLOSED,
    LATE_CAP,
    LEASE,
    WAITING,
    Enqueued,
    NewTicket,
    Opinion,
    QueueStats,
    TicketEvent,
    TicketRecord,
    TicketState,
    fingerprint,
    new_id,
    page_cursor,
)
from .traffic import AppliedRow, ArmRow, ExposureRow, ServedRow, TrafficStore

__all__ = [
    "CLOSED",
    "LATE_CAP",
    "LEASE",
    "MAX_WEIGHT",
    "WAITING",
    "Action",
    "ActivityStore",
    "Agreement",
    "AnswerRefusedError",
    "AppliedRow",
    "Arm",
    "ArmRow",
    "AssignedError",
    "BaselineRow",
    "BreakerCount",
    "BreakerRow",
    "BreakerStore",
    "CallFilter",
    "CallGroup",
    "CallRow",
    "CallStore",
    "Callback",
    "CallbackState",
    "CallbackStore",
    "CaseState",
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
    "Expiry",
    "ExposureRow",
    "FeedbackStore",
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
    "Opinion",
    "ProposedCase",
    "QueueFullError",
    "QueueStats",
    "ReviewedError",
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
    "TicketLabel",
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
    "page_cursor",
    "spill_folder",
    "step",
    "store_exists",
    "store_name",
    "store_path",
]
