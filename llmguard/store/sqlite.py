"""The default store: two SQLite files, one durable, one fast."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from ..clock import SYSTEM_CLOCK, Clock
from ._activity import SqliteActivity
from ._breakers import SqliteBreakers
from ._database import Database, Synchronous
from ._events import SqliteEvents
from ._evidence import SqliteEvidence
from ._health import health
from ._ledger import SqliteLedger
from ._location import locate
from ._sqlite_tickets import SqliteTickets
from .backend import StoreHealth
from .evidence import EvidenceRow, Signature
from .protocol import BreakerRow
from .tickets import MAX_LOSSES

__all__ = ["SqliteStore"]


class SqliteStore:
    """Implements `Store` on SQLite.

    Tickets, breaker states, evidence, events and the ledger are in `PATH`, durable
    through power cuts (`synchronous=FULL`); counts are in a file beside it that ends
    in `.metrics.db`, durable through killed processes only, opened when first used.

    Args:
        url: A path, or a URL such as `sqlite:///.llmguard/store.db?ballast=8M`.
        clock: Gives the epoch seconds of leases, deadlines and records.
        synchronous: `OFF` for tests that need no durability.
        max_losses: Leases that may lapse before a ticket is `dead`.

    Raises:
        ConfigError: The URL is not one of SQLite.
        StoreError: The file cannot be a store; the message says why.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        clock: Clock = SYSTEM_CLOCK,
        synchronous: Synchronous = "FULL",
        max_losses: int = MAX_LOSSES,
    ) -> None:
        location = locate(url)
        self._clock = clock
        self._fast: Synchronous = "OFF" if synchronous == "OFF" else "NORMAL"
        self._url = location.url
        self.path = location.path
        self._main = Database(
            location.path,
            schema="main",
            synchronous=synchronous,
            ballast=location.ballast,
            clock=clock,
        )
        self._main.open()
        self._breakers = SqliteBreakers(self._main)
        self._evidence = SqliteEvidence(self._main, clock=clock)
        self._events = SqliteEvents(self._main, clock=clock)
        self._ledger = SqliteLedger(self._main, clock=clock)
        self._tickets = SqliteTickets(self._main, clock=clock, max_losses=max_losses)

    def __repr__(self) -> str:
        return f"SqliteStore({self._url!r})"

    @property
    def url(self) -> str:
        """The URL it was opened with."""
        return self._url

    @property
    def tickets(self) -> SqliteTickets:
        """The human queue."""
        return self._tickets

    @property
    def ledger(self) -> SqliteLedger:
        """Which pinned version serves each route."""
        return self._ledger

    @property
    def events(self) -> SqliteEvents:
        """What happened to models, in order."""
        return self._events

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

    def health(self, *, thorough: bool = False) -> StoreHealth:
        """Return how the store is; `thorough` reads every page of it."""
        return health(self._main, url=self._url, thorough=thorough)

    def close(self) -> None:
        """Write what is queued and close both files."""
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
        since: float = 0.0,
        limit: int = 100,
    ) -> Sequence[EvidenceRow]:
        """Return documents, newest first; None for any function or pin."""
        return self._evidence.list_evidence(
            function=function, pin_digest=pin_digest, since=since, limit=limit
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
    def _activity(self) -> SqliteActivity:
        return self._metrics[1]

    @cached_property
    def _metrics(self) -> tuple[Database, SqliteActivity]:
        # A file of its own, since `synchronous` holds for a whole file and a fast
        # commit there must not wait behind a durable one here.
        database = Database(
            self.path.with_name(f"{self.path.stem}.metrics.db"),
            schema="metrics",
            synchronous=self._fast,
            clock=self._clock,
        )
        return database, SqliteActivity(database, clock=self._clock)
