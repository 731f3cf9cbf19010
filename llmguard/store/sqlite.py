"""The default store: two SQLite files, one durable, one fast."""

from __future__ import annotations

import os
from pathlib import Path

from ..clock import SYSTEM_CLOCK, Clock
from ._health import health
from ._location import locate
from ._sql_store import SqlStore
from ._sqlite_database import SqliteDatabase, Synchronous
from .backend import StoreHealth
from .tickets import MAX_LOSSES

__all__ = ["SqliteStore", "metrics_path"]


def metrics_path(path: Path) -> Path:
    """Return the file of counts that belongs to the store at `path`."""
    return path.with_name(f"{path.stem}.metrics.db")


class SqliteStore(SqlStore):
    """Implements `Store` on SQLite.

    Tickets, breaker states, evidence, events, shadows and the ledger are in `PATH`,
    durable through power cuts (`synchronous=FULL`); counts are in a file beside it
    that ends in `.metrics.db`, durable through killed processes only, opened when
    first used.

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
        self._fast: Synchronous = "OFF" if synchronous == "OFF" else "NORMAL"
        self.path = location.path
        self._file = SqliteDatabase(
            location.path,
            schema="main",
            synchronous=synchronous,
            ballast=location.ballast,
            clock=clock,
        )
        self._file.open()
        super().__init__(
            self._file, url=location.url, clock=clock, max_losses=max_losses
        )

    def health(self, *, thorough: bool = False) -> StoreHealth:
        """Return how the store is; `thorough` reads every page of it."""
        return health(self._file, url=self._url, thorough=thorough)

    def _open_metrics(self) -> SqliteDatabase:
        # A file of its own, since `synchronous` holds for a whole file and a fast
        # commit there must not wait behind a durable one here.
        return SqliteDatabase(
            metrics_path(self.path),
            schema="metrics",
            synchronous=self._fast,
            clock=self._clock,
        )
