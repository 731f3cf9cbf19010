"""The store on a PostgreSQL server, for more than one machine."""

from __future__ import annotations

from time import monotonic

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import StoreError
from ._pg_connect import READ_TIMEOUT
from ._pg_database import PgDatabase
from ._pg_errors import Unreachable
from ._pg_health import COUNTS, fold_counts, health
from ._pg_migrate import migrate
from ._pg_notify import Bell
from ._pg_place import place_of
from ._pg_pool import Pool
from ._sql_store import SqlStore
from .backend import StoreHealth
from .tickets import MAX_LOSSES

__all__ = ["PostgresStore"]


class PostgresStore(SqlStore):
    """Implements `Store` on PostgreSQL 13 or newer.

    All tables are in one schema, `llmguard` unless `?schema=` says otherwise. What has
    to survive a power cut is committed synchronously; counts are not waited for.

    Args:
        url: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=...`.
        clock: Gives the epoch seconds of leases, deadlines and records.
        max_losses: Leases that may lapse before a ticket is `dead`.

    Raises:
        ConfigError: The URL cannot be read.
        StoreError: The server cannot be reached or cannot hold a store; the message
            says why, and never the password.
    """

    def __init__(
        self, url: str, *, clock: Clock = SYSTEM_CLOCK, max_losses: int = MAX_LOSSES
    ) -> None:
        self._place = place_of(url)
        self._pool = Pool(self._place)
        self._bell = Bell(self._place)
        try:
            self._migrate(clock)
        except StoreError:
            self._pool.close()
            self._bell.close()
            raise
        main = PgDatabase(self._place, pool=self._pool, bell=self._bell)
        super().__init__(main, url=self._place.url, clock=clock, max_losses=max_losses)
        main.write(fold_counts, locks=(COUNTS,))

    @property
    def hears(self) -> bool | None:
        """Whether commits of other processes are heard of at once; None: not yet known.

        Where they are not, as behind a pooler that gives each transaction another
        session, they are seen by the next poll.
        """
        return self._bell.hears

    def health(self, *, thorough: bool = False) -> StoreHealth:
        """Return how the store is; `thorough` also counts what is counted."""
        return health(
            self._main,
            place=self._place,
            bell=self._bell,
            clock=self._clock,
            thorough=thorough,
        )

    def close(self) -> None:
        """Tell others what was written and close all connections."""
        super().close()
        self._bell.close()
        self._pool.close()

    def _migrate(self, clock: Clock) -> None:
        try:
            with self._pool.lend(monotonic() + READ_TIMEOUT) as wire:
                migrate(wire, self._place, clock=clock)
        except Unreachable as error:
            raise error.problem from None

    def _open_metrics(self) -> PgDatabase:
        return PgDatabase(self._place, pool=self._pool, bell=self._bell, durable=False)
