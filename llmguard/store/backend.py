"""What every store backend offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .access import AccessStore
from .callbacks import CallbackStore
from .calls import CallStore
from .counts import CountStore
from .events import EventStore
from .evidence import EvidenceStore
from .experiments import ExperimentStore
from .feedback import FeedbackStore
from .ledger import LedgerStore
from .monitoring import MonitorStore
from .protocol import ActivityStore, BreakerStore
from .shadow import ShadowStore
from .ticket_store import TicketStore
from .traffic import TrafficStore

__all__ = ["Store", "StoreHealth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """What `llmguard doctor` wants to know.

    Attributes:
        url: The store's URL.
        engine: Database and version, such as `SQLite 3.45.1`.
        schema: Name of the newest applied migration.
        size: Bytes of the database and its log.
        free: Bytes free where it lives; None on a server, which does not tell.
        spilled: Tickets that wait in the spill folder.
        problems: One sentence for each thing to repair, with the repair; empty when
            the store is well.
        notes: What is worth knowing and needs no repair.
    """

    url: str
    engine: str
    schema: str
    size: int
    free: int | None
    spilled: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Store(BreakerStore, ActivityStore, EvidenceStore, Protocol):
    """Breakers, activity, evidence, events, shadows, tickets, the ledger; shared."""

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        ...

    @property
    def access(self) -> AccessStore:
        """Users, tokens, sessions and the audit of the console."""
        ...

    @property
    def tickets(self) -> TicketStore:
        """The human queue."""
        ...

    @property
    def callbacks(self) -> CallbackStore:
        """Who is told when tickets are closed."""
        ...

    @property
    def feedback(self) -> FeedbackStore:
        """What people's answers say of models."""
        ...

    @property
    def ledger(self) -> LedgerStore:
        """Which pinned version serves each route."""
        ...

    @property
    def events(self) -> EventStore:
        """What happened to models, in order."""
        ...

    @property
    def experiments(self) -> ExperimentStore:
        """Which arms share a route's traffic."""
        ...

    @property
    def monitor(self) -> MonitorStore:
        """Baselines and figures of what versions say."""
        ...

    @property
    def shadow(self) -> ShadowStore:
        """Shadow runs."""
        ...

    @property
    def traffic(self) -> TrafficStore:
        """What processes applied, what providers served, how arms did."""
        ...

    @property
    def counts(self) -> CountStore:
        """Counts over time, and the objectives they are held against."""
        ...

    @property
    def calls(self) -> CallStore:
        """A sample of the last calls."""
        ...

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        ...

    def version(self) -> int:
        """Return a number that differs after any commit; compare within a thread."""
        ...

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after commits; returns how to stop.

        It runs on a thread that writes, or on one that hears of other processes'
        commits where the database can tell of them, and must return at once. Only
        polling `version()` sees every commit everywhere.
        """
        ...

    def health(self, *, thorough: bool = False) -> StoreHealth:
        """Return how the store is; `thorough` reads every page of it."""
        ...

    def close(self) -> None:
        """Write what is queued and close; `open_store` opens it again."""
        ...
