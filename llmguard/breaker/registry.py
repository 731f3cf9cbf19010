"""All breakers of one process, and their exchange with the store."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..clock import SYSTEM_CLOCK, Clock
from ..outcome import Kind
from ._events import Transition
from ._forks import track
from ._poller import Poller
from ._pool import Pool
from .policy import BreakerPolicy, State

if TYPE_CHECKING:
    import pybreaker

    from ..store.protocol import BreakerStore
    from .version import VersionBreaker

__all__ = ["BreakerRegistry"]

_ATTEMPTS = 5
_DEFAULT = BreakerPolicy()


class BreakerRegistry:
    """One breaker per function and pin; transitions travel through a store.

    Without a store it is a process's own view. With one, `sync` publishes local
    transitions by compare-and-set and picks up what people and other processes
    decided; `start` does so in the background. A quarantine is written before the
    call that caused it returns. A store that fails costs nothing but the news: the
    local view stays as it is, and the failure is counted.

    Args:
        store: Where transitions are published; `attach` gives it later.
        policy: Thresholds of breakers that are asked for without their own.
        clock: Where breakers read the time.
        rng: Returns uniform random numbers in [0, 1), for jitter.
        listeners: pybreaker listeners that every breaker gets.
        classify: Returns the kind of an exception out of `call` and its kin.
        capacity: Breakers kept; beyond it the closed one that was asked for longest
            ago is dropped, which is what becomes of retired pins.

    Attributes:
        store_failures: Exchanges that failed.
        last_store_error: The last one's error, by `repr`.
        last_sync: Epoch seconds of the last exchange that worked; 0.0 before.
    """

    _breaker_type: type[VersionBreaker] | None = None

    def __init__(
        self,
        *,
        store: BreakerStore | None = None,
        policy: BreakerPolicy = _DEFAULT,
        clock: Clock = SYSTEM_CLOCK,
        rng: Callable[[], float] = random.random,
        listeners: Iterable[pybreaker.CircuitBreakerListener] = (),
        classify: Callable[[BaseException], Kind] | None = None,
        capacity: int = 1024,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._capacity = capacity
        self._options: dict[str, Any] = {
            "clock": clock,
            "rng": rng,
            "listeners": tuple(listeners),
            "classify": classify,
        }
        self._breakers: dict[str, VersionBreaker] = {}
        self._turns = itertools.count(1)
        self._callbacks: tuple[Callable[[Transition], object], ...] = ()
        self._store = store
        self._rev: int | None = None
        self._reserve: Callable[[], object] | None = None
        self._pool = Pool()
        self._poller: Poller | None = None
        self._interval: float | None = None
        self.store_failures = 0
        self.last_store_error = ""
        self.last_sync = 0.0
        self._lock = threading.RLock()
        self._exchange_lock = threading.RLock()
        track(self, outer=True)

    # --- the breakers

    def get(
        self, function: str, pin_id: str, *, policy: BreakerPolicy | None = None
    ) -> VersionBreaker:
        """Return the breaker of a function on a pin, made on first use.

        A new one first reads the store, so that a quarantine holds from the first
        call on. Asking again with another policy reconfigures it.
        """
        if self._interval is not None and self._poller is None:
            self._launch()
        # A known key takes no lock: one look-up, one stamp, both atomic.
        key = f"{function}|{pin_id}"  # `breaker_key`, without the call
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._add(key, policy or self._policy)
        breaker.asked = next(self._turns)
        # The guard passes the same object on every call: compare that first.
        if policy is not None and policy is not breaker.policy:
            self._reconfigure(breaker, policy)
        return breaker

    def _reconfigure(self, breaker: VersionBreaker, policy: BreakerPolicy) -> None:
        if policy != breaker.policy:
            breaker.reconfigure(policy)

    def all(self) -> tuple[VersionBreaker, ...]:
        """Return every breaker, the one asked for longest ago first."""
        with self._lock:
            held = tuple(self._breakers.values())
        return tuple(sorted(held, key=_asked))

    def find(self, key: str) -> VersionBreaker | None:
        """Return the breaker with that key, if this process has it."""
        with self._lock:
            return self._breakers.get(key)

    def on_transition(self, callback: Callable[[Transition], object]) -> None:
        """Call `callback` after every change of any breaker, present or to come."""
        with self._lock:
            self._callbacks += (callback,)
            breakers = self.all()
        for breaker in breakers:
            breaker.on_transition(callback)

    def load(self) -> type[VersionBreaker]:
        """Import what breakers are made of, and return their class.

        It takes up to a second: pybreaker imports Redis's client where it is installed.
        """
        # Under the lock, for which a fork waits: a child forked amid an import would
        # wait for ever for a thread that it does not have.
        with self._lock:
            from .version import VersionBreaker

        return VersionBreaker

    def _add(self, key: str, policy: BreakerPolicy) -> VersionBreaker:
        make = self._breaker_type or self.load()
        breaker = make(key, policy=policy, **self._options)
        self._guarded(self._load, breaker)
        with self._lock:
            kept = self._breakers.setdefault(key, breaker)
            if kept is breaker:
                breaker.persist = self._persist
                for callback in self._callbacks:
                    breaker.on_transition(callback)
                breaker.asked = next(self._turns)
                self._evict(key)
        return kept

    def _evict(self, newest: str) -> None:
        if len(self._breakers) <= self._capacity:
            return
        for breaker in sorted(self._breakers.values(), key=_asked):
            if breaker.status is State.CLOSED and breaker.key != newest:
                del self._breakers[breaker.key]
                return

    # --- the store

    def attach(
        self, store: BreakerStore, *, reserve: Callable[[], object] | None = None
    ) -> None:
        """Use this store from now on, and exchange with it at once.

        Args:
            store: The store.
            reserve: Has `sync` called soon, and returns at once. With it probes are
                reserved in the store, so that of many processes one sends them: an
                open breaker whose time is up half-opens in that exchange. While the
                store is down it half-opens by itself.
        """
        self._store = store
        self._reserve = reserve
        self._rev = None
        self._pool.forget()
        self.sync()

    def sync(self) -> bool:
        """Exchange news with the store; False when there is none or it failed."""
        well = self._guarded(self._exchange)
        if self._reserve is not None:
            for breaker in self.all():
                breaker.reserve_probes(by_store=well, wake=self._reserve)
        return well

    def start(self, *, interval: float = 1.0) -> None:
        """Exchange every `interval` seconds, in a daemon thread, also after forks."""
        self._interval = interval
        self._launch()

    def stop(self) -> None:
        """End the background exchange, after a last one."""
        self._interval = None
        with self._lock:
            poller, self._poller = self._poller, None
        if poller is not None:
            poller.stop()
            self.sync()

    def _launch(self) -> None:
        with self._lock:
            if self._poller is None and self._interval is not None:
                self._poller = Poller(self, self._interval)

    def _guarded(self, act: Callable[..., None], *args: VersionBreaker) -> bool:
        """Do something with the store; a failure is counted and changes nothing."""
        store = self._store
        if store is None:
            return False
        try:
            with self._exchange_lock:
                act(store, *args)
        except Exception as error:  # noqa: BLE001 - a store may fail in any way, and the local view goes on
            self.store_failures += 1
            self.last_store_error = repr(error)
            return False
        self.last_sync = self._clock.time()
        return True

    def _load(self, store: BreakerStore, breaker: VersionBreaker) -> None:
        row = store.get_breaker(breaker.key)
        if row is not None:
            breaker.adopt(row)

    def _exchange(self, store: BreakerStore) -> None:
        # Own writes first, so that the revision remembered includes them. A store that
        # was replaced could still show the same revision by chance: what protects is
        # compared every time.
        self._pool.exchange(store, self.all())
        self._publish_all(store)
        self._adopt_all(store)
        for breaker in self.all() if self._reserve is not None else ():
            self._probe(store, breaker)

    def _probe(self, store: BreakerStore, breaker: VersionBreaker) -> None:
        """Reserve the probes of an open breaker that calls wait for."""
        row = breaker.probing()
        if row is None:
            return
        written = store.put_breaker(row)
        if written is None:
            breaker.adopt(store.get_breaker(breaker.key))
        else:
            breaker.probe_now(written)

    def _adopt_all(self, store: BreakerStore) -> None:
        rev = store.breakers_rev()
        if rev == self._rev and not any(b.protected for b in self.all()):
            return
        rows = {row.key: row for row in store.list_breakers()}
        for breaker in self.all():
            breaker.adopt(rows.get(breaker.key))
        # What is told to a store that lost it changes its revision once more, perhaps
        # to one that another loss brings back: look at every row the next time.
        self._rev = None if self._publish_all(store) else rev

    def _publish_all(self, store: BreakerStore) -> bool:
        """Write what the store has not got; True when there was something."""
        news = [breaker for breaker in self.all() if breaker.unpublished]
        for breaker in news:
            self._publish(store, breaker)
        return bool(news)

    def _publish(self, store: BreakerStore, breaker: VersionBreaker) -> None:
        for _ in range(_ATTEMPTS):
            row, generation = breaker.row()
            written = store.put_breaker(row)
            if written is not None:
                breaker.published(written, generation)
            else:
                breaker.adopt(store.get_breaker(breaker.key))
            if not breaker.unpublished:
                return

    def _persist(self, breaker: VersionBreaker) -> None:
        self._guarded(self._publish, breaker)

    # --- forks

    def hold(self) -> None:
        """Take the lock before a fork."""
        self._lock.acquire()

    def let_go(self) -> None:
        """Release it in the parent."""
        self._lock.release()

    def restart(self) -> None:
        """Start with free locks; the exchange thread comes back on the next `get`."""
        self._lock = threading.RLock()
        self._exchange_lock = threading.RLock()
        self._poller = None
        self._pool.renew()


def _asked(breaker: VersionBreaker) -> int:
    return breaker.asked
