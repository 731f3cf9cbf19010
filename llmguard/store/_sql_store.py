"""The store as SQL, on whichever database is below."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from .. import config
from ..clock import Clock
from ..errors import ConfigError, StoreError
from ._access import SqlAccess
from ._activity import SqlActivity
from ._breaker_counts import SqlBreakerCounts
from ._breakers import SqlBreakers
from ._callbacks import SqlCallbacks
from ._calls import SqlCalls
from ._counts import SqlCounts
from ._database import Database
from ._events import SqlEvents
from ._evidence import SqlEvidence
from ._experiments import SqlExperiments
from ._feedback import SqlFeedback
from ._ledger import SqlLedger
from ._monitoring import SqlMonitor
from ._shadow import SqlShadow
from ._ticket_signals import count_reviews
from ._tickets import SqlTickets
from ._traffic import SqlTraffic
from .backend import StoreHealth
from .evidence import EvidenceRow, Signature
from .protocol import BreakerCount, BreakerRow
from .tickets import TicketRecord

__all__ = ["SqlStore"]


class SqlStore(ABC):
    """Implements `Store`; a backend brings its databases.

    Args:
        main: Where all is that must be durable.
        url: What it was opened with, safe to show.
        clock: Gives the epoch seconds of leases, deadlines and records.
        max_losses: Leases that may lapse before a ticket is `dead`.
    """

    def __init__(
        self, main: Database, *, url: str, clock: Clock, max_losses: int
    ) -> None:
        self._main = main
        self._url = url
        self._clock = clock
        self._access = SqlAccess(main, clock=clock)
        self._breakers = SqlBreakers(main)
        self._evidence = SqlEvidence(main, clock=clock)
        self._events = SqlEvents(main, clock=clock)
        self._experiments = SqlExperiments(main, clock=clock)
        self._ledger = SqlLedger(main, clock=clock)
        self._monitor = SqlMonitor(main, clock=clock)
        self._shadow = SqlShadow(main, clock=clock)
        self._tickets = SqlTickets(
            main, clock=clock, max_losses=max_losses, answered=self._learn
        )
        self._callbacks = SqlCallbacks(main, clock=clock)
        self._feedback = SqlFeedback(main, clock=clock)

    def _learn(self, ticket: TicketRecord) -> None:
        """Count what an answer says of versions; a count is not worth an answer."""
        if ticket.outputs:
            with suppress(StoreError, ConfigError):
                count_reviews(self.counts, config.load().env, ticket)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    @abstractmethod
    def _open_metrics(self) -> Database:
        """Return where counts go: durable through killed processes only."""

    @abstractmethod
    def health(self, *, thorough: bool = False) -> StoreHealth:
        """Return how the store is; `thorough` reads every page of it."""

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return self._url

    @property
    def access(self) -> SqlAccess:
        """Users, tokens, sessions and the audit of the console."""
        return self._access

    @property
    def tickets(self) -> SqlTickets:
        """The human queue."""
        return self._tickets

    @property
    def callbacks(self) -> SqlCallbacks:
        """Who is told when tickets are closed."""
        return self._callbacks

    @property
    def feedback(self) -> SqlFeedback:
        """What people's answers say of models."""
        return self._feedback

    @property
    def ledger(self) -> SqlLedger:
        """Which pinned version serves each route."""
        return self._ledger

    @property
    def events(self) -> SqlEvents:
        """What happened to models, in order."""
        return self._events

    @property
    def experiments(self) -> SqlExperiments:
        """Which arms share a route's traffic."""
        return self._experiments

    @property
    def monitor(self) -> SqlMonitor:
        """Baselines and figures of what versions say."""
        return self._monitor

    @property
    def shadow(self) -> SqlShadow:
        """Shadow runs."""
        return self._shadow

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        return self._main.closed

    def version(self) -> int:
        """Return a number that differs after any commit; compare within a thread."""
        return self._main.version()

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` after commits of this process; returns how to stop."""
        return self._main.listen(callback)

    def close(self) -> None:
        """Write what is queued and close."""
        self._main.close()
        if "_metrics" in self.__dict__:
            self._metrics[0].close()

    def get_breaker(self, key: str) -> BreakerRow | None:
        """Return the row, or None when nothing was ever published."""
        return self._breakers.get_breaker(key)

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        """Write `row` if the stored `rev` equals `row.rev`; return it with rev + 1."""
        return self._breakers.put_breaker(row)

    def list_breakers(self) -> Sequence[BreakerRow]:
        """Return every row, sorted by key."""
        return self._breakers.list_breakers()

    def breakers_rev(self) -> int:
        """Return a number that changes whenever any row changes; cheap to poll."""
        return self._breakers.breakers_rev()

    def put_breaker_counts(
        self, process: str, totals: Mapping[str, tuple[int, int]]
    ) -> None:
        """Publish a process's totals by key: calls, and those that failed."""
        self._pooled.put(process, totals)

    def breaker_counts(self) -> Sequence[BreakerCount]:
        """Return the totals of every process of the last day."""
        return self._pooled.read()

    def put_evidence(self, row: EvidenceRow) -> bool:
        """Write a document durably, with its signatures; False if it was there."""
        return self._evidence.put_evidence(row)

    def sign_evidence(self, digest: str, signature: Signature) -> bool:
        """Add a signature; False if the document is unknown or it is signed so."""
        return self._evidence.sign_evidence(digest, signature)

    def get_evidence(self, digest: str) -> EvidenceRow | None:
        """Return a document with its signatures, or None."""
        return self._evidence.get_evidence(digest)

    def list_evidence(
        self,
        *,
        function: str | None = None,
        pin_digest: str | None = None,
        kinds: Collection[str] = (),
        since: float = 0.0,
        before: tuple[float, str] | None = None,
        limit: int = 100,
    ) -> Sequence[EvidenceRow]:
        """Return documents, newest first; None for any function or pin."""
        return self._evidence.list_evidence(
            function=function,
            pin_digest=pin_digest,
            kinds=kinds,
            since=since,
            before=before,
            limit=limit,
        )

    def add_activity(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Merge one process's increments."""
        self._activity.add_activity(rows)

    def beat(self, process: str, info: Mapping[str, object]) -> None:
        """Record that `process` is alive, and forget what is too old."""
        self._activity.beat(process, info)

    def activity(self, *, since: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Return merged counts per function, tier, pin and kind."""
        return self._activity.activity(since=since)

    def processes(self) -> Sequence[Mapping[str, object]]:
        """Return the last heartbeat of every process: `process`, `at`, `info`."""
        return self._activity.processes()

    @property
    def counts(self) -> SqlCounts:
        """Counts over time, and the objectives they are held against."""
        return self._metrics[2]

    @property
    def traffic(self) -> SqlTraffic:
        """What processes applied, what providers served, how arms did."""
        return self._metrics[3]

    @property
    def calls(self) -> SqlCalls:
        """A sample of the last calls."""
        return self._calls

    @cached_property
    def _calls(self) -> SqlCalls:
        return SqlCalls(self._metrics[0], clock=self._clock)

    @property
    def _activity(self) -> SqlActivity:
        return self._metrics[1]

    @cached_property
    def _pooled(self) -> SqlBreakerCounts:
        return SqlBreakerCounts(self._metrics[0], clock=self._clock)

    @cached_property
    def _metrics(self) -> tuple[Database, SqlActivity, SqlCounts, SqlTraffic]:
        database, clock = self._open_metrics(), self._clock
        activity = SqlActivity(database, clock=clock)
        counts, traffic = (
            SqlCounts(database, clock=clock),
            SqlTraffic(database, clock=clock),
        )
        return database, activity, counts, traffic
