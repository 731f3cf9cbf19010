"""`Router`: keeps a process's routing table as the store says, within a second.

One daemon thread looks at two revision numbers a few times a second, whether calls
come or not, and replaces the table when one has moved. It only reads, so a writer that
hangs does not hold it up. While the store cannot be asked, the last good table stays,
marked stale; a process that starts meanwhile takes it from a local file.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .. import config
from .._dataclass import dataclass
from ..clock import SYSTEM_CLOCK, Clock
from ._cache import good_lock
from .routing import UNROUTED, RoutingTable

if TYPE_CHECKING:
    from ..store import Store
    from ._table_cache import CacheKey

__all__ = ["PATIENCE", "PERIOD", "ROUTER", "Applied", "Router"]

_LOG = logging.getLogger("llmguard.router")
PERIOD: Final = 0.25
"""Seconds between two looks: a change is seen after half of it on average."""
_SLOWEST: Final = 1.0
"""Seconds between two looks at a store that does not answer."""
_REWRITE: Final = 60.0
"""Seconds after which the cache file says again that the store still agrees."""
PATIENCE: Final = 1.0
"""Seconds that a process waits for the store before its first call."""
_SNAPSHOTS: Final = 5
_KEPT: Final = 1_000
"""Transitions kept while the store cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """From when on a process went by which table.

    Attributes:
        at: Epoch seconds.
        env: Environment.
        rev: Revision of the ledger.
        experiments_rev: Last declaration of an experiment.
        lock: Digest of `models.lock`.
        stale: Whether the store could not be asked.
    """

    at: float
    env: str
    rev: int
    experiments_rev: int
    lock: str
    stale: bool


def _open() -> Store:
    from ..store import open_store

    return open_store()


class Router:
    """Has the table that calls go by.

    Args:
        store: Opens the store; by default the configured one.
        clock: Where it reads the time.
        period: Seconds between two looks.

    Attributes:
        table: The newest table; read it once per call.
        cache_problem: Why the cache file is not used or not written; empty when all
            is well.
    """

    def __init__(
        self,
        *,
        store: Callable[[], Store] = _open,
        clock: Clock = SYSTEM_CLOCK,
        period: float = PERIOD,
    ) -> None:
        self._open = store
        self._clock = clock
        self._period = period
        self._callbacks: tuple[Callable[[RoutingTable], object], ...] = ()
        self.table: RoutingTable = UNROUTED
        self.cache_problem = ""
        self.renew()

    def renew(self) -> None:
        """Start without a thread, as a forked child does; the table stays."""
        self._lock = threading.RLock()
        self._starting = threading.Lock()
        self._swapping = threading.RLock()
        self._thread: threading.Thread | None = None
        self._poked = threading.Event()
        self._looked = threading.Event()
        self._ending = False
        self._failures = 0
        self._store: Store | None = None
        self._stop_listening: Callable[[], None] | None = None
        self._confirmed = self.table.read_at
        self._written = 0.0
        self._applied: deque[Applied] = deque(maxlen=_KEPT)
        self._last: Applied | None = None
        self._lock_seen = ""

    def start(self, *, patience: float = PATIENCE) -> None:
        """Read the table and keep it fresh from a thread, until `stop`.

        Args:
            patience: Seconds to wait for the store; then the cached table serves,
                stale, until the store answers.
        """
        with self._starting:
            if self._thread is not None:
                return
            self._ending = False
            self._looked.clear()
            thread = threading.Thread(
                target=self._run, name="llmguard-router", daemon=True
            )
            thread.start()
            if not self._looked.wait(patience):
                self._give_up_waiting(patience)
            self._thread = thread

    def stop(self) -> None:
        """End the thread; the table stays as it is."""
        with self._starting:
            thread, self._thread = self._thread, None
            self._ending = True
        self._poked.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2.0)
        self._forget_store()

    def poke(self) -> None:
        """Have the thread look at once: somebody says that something changed."""
        self._poked.set()

    def on_change(self, callback: Callable[[RoutingTable], object]) -> None:
        """Call `callback` with every new table, in the thread that found it."""
        self._callbacks += (callback,)

    def refresh(self) -> RoutingTable:
        """Ask the store now; return the table that calls go by from here on."""
        with self._lock:
            try:
                self._read(self._connect())
            except Exception as error:  # noqa: BLE001 - the store may fail, calls may not
                self._fail(error)
            else:
                self._failures = 0
            return self.table

    def take_applied(self) -> list[Applied]:
        """Return the transitions since the last time, the oldest first."""
        taken: list[Applied] = []
        while self._applied:
            taken.append(self._applied.popleft())
        return taken

    def give_back(self, rows: list[Applied]) -> None:
        """Take transitions back that could not be written."""
        self._applied.extendleft(reversed(rows))

    def about(self) -> dict[str, object]:
        """Return what the heartbeat says about it."""
        table = self.table
        return {
            "env": table.env,
            "rev": table.rev,
            "experiments_rev": table.experiments_rev,
            "stale": table.stale,
            "closed": table.closed,
            "confirmed_at": self._confirmed,
            "problem": table.problem,
            "cache_problem": self.cache_problem,
            "lock": _lock_digest(),
        }

    def _run(self) -> None:
        poked = self._poked
        self.refresh()
        self._looked.set()
        while not self._ending:
            wait = min(_SLOWEST, self._period * 2 ** min(self._failures, 8))
            poked.wait(wait)
            poked.clear()
            if self._ending:
                return
            self.refresh()

    def _give_up_waiting(self, patience: float) -> None:
        problem = f"the store has not answered within {patience:g} s"
        with self._swapping:
            if self.table is UNROUTED:
                cached = self._cached()
                self._publish(replace(cached, stale=True, problem=problem))

    def _connect(self) -> Store:
        store = self._store
        if store is None or store.closed:
            self._forget_store()
            store = self._store = self._open()
            self._stop_listening = store.listen(self.poke)
        return store

    def _forget_store(self) -> None:
        stop, self._stop_listening = self._stop_listening, None
        self._store = None
        if stop is not None:
            stop()

    def _read(self, store: Store) -> None:
        store.version()  # raises when the file below was taken away
        env, before = config.load().env, self.table
        revs = _revs(store)
        now = self._clock.time()
        known = (before.rev, before.experiments_rev)
        if before.env != env or before.stale or known != revs or not before.read_at:
            self._publish(_snapshot(store, env, now))
        elif self._last is None or self._lock_seen != _lock_digest():
            self._note(before)
        self._confirmed = now
        if now - self._written >= _REWRITE:
            self._save()

    def _publish(self, table: RoutingTable) -> None:
        with self._swapping:
            before, self.table = self.table, table
            self._note(table)
        for callback in self._callbacks:
            callback(table)
        if before.stale and not table.stale:
            _LOG.info("the store answers again, at revision %d", table.rev)
        if not table.stale:
            self._confirmed = table.read_at
            self._save()

    def _note(self, table: RoutingTable) -> None:
        self._lock_seen = _lock_digest()
        row = Applied(
            at=self._clock.time(),
            env=table.env,
            rev=table.rev,
            experiments_rev=table.experiments_rev,
            lock=self._lock_seen,
            stale=table.stale,
        )
        last, self._last = self._last, row
        if last is None or replace(last, at=row.at) != row:
            self._applied.append(row)

    def _save(self) -> None:
        from ._table_cache import cache_path, write_table

        settings, table = config.load(), self.table
        self._written = now = self._clock.time()
        path = cache_path(settings.root, table.env)
        try:
            fresh = replace(table, read_at=now)
            write_table(path, fresh, _key())
        except OSError as error:
            self.cache_problem = f"the cache {str(path)!r} cannot be written ({error})"
        else:
            self.cache_problem = ""

    def _fail(self, error: Exception) -> None:
        self._failures += 1
        self._forget_store()
        if not self.table.stale:
            _LOG.warning("the store cannot be asked who serves, going on: %s", error)
        table = self.table if self.table.read_at else self._cached()
        age = table.age(self._clock.time())
        limit = config.load().max_stale
        stale = replace(
            table,
            read_at=self._confirmed or table.read_at,
            stale=True,
            problem=str(error),
            closed=0 < limit < age,
        )
        if stale != self.table:
            self._publish(stale)

    def _cached(self) -> RoutingTable:
        from ._table_cache import cache_path, read_table

        settings = config.load()
        path = cache_path(settings.root, settings.env)
        table, self.cache_problem = read_table(path, _key())
        if table is None:
            return RoutingTable(env=settings.env)
        self._confirmed = table.read_at
        return table


def _key() -> CacheKey:
    from ._table_cache import CacheKey

    settings = config.load()
    return CacheKey(env=settings.env, store=settings.store, lock=_lock_digest())


def _lock_digest() -> str:
    try:
        return good_lock().digest
    except Exception:  # noqa: BLE001 - a program may have pins in code and no lock
        return ""


def _revs(store: Store) -> tuple[int, int]:
    return store.ledger.ledger_rev(), store.experiments.rev()


def _snapshot(store: Store, env: str, now: float) -> RoutingTable:
    """Read states that all belong to one revision."""
    for left in reversed(range(_SNAPSHOTS)):
        revs = _revs(store)
        states = store.ledger.route_states(env)
        running = [one for one in store.experiments.latest(env) if one.running]
        # Where somebody writes without a pause, these states are at least as new as
        # the numbers before them, and the next look reads them again.
        if not left or revs == _revs(store):
            return RoutingTable(
                env=env,
                rev=revs[0],
                experiments_rev=revs[1],
                routes=MappingProxyType(dict(states)),
                experiments=MappingProxyType({one.route: one for one in running}),
                read_at=now,
            )
    raise AssertionError(env)


ROUTER: Final = Router()
"""The one of this process; the keeper starts it with the first managed call."""

if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=ROUTER.renew)
