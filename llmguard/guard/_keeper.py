"""One daemon thread per process that exchanges state with the store, once a second.

It publishes breaker transitions and picks up those of other processes, moves counts
to the store and says that the process is alive. A store that cannot be reached means
a local view and a warning in the log, never a failed or slower call.
"""

from __future__ import annotations

import atexit
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from .. import config
from ..errors import ConfigError
from ..pins.router import PATIENCE, ROUTER
from ..telemetry import add_hook
from ..telemetry.activity import Activity, process_name
from ..telemetry.growth import Growth
from ..telemetry.objectives import Objective, declared
from ..telemetry.recent import RECENT
from ..telemetry.tally import TALLY
from ..telemetry.traffic import TRAFFIC
from ._forks import renew_after_fork
from ._probing import Prober
from ._recent import RecentMover
from ._traffic import Mover

if TYPE_CHECKING:
    from ..store import BreakerStore, Store
    from ._guard import Guard
    from ._plan import Step

__all__ = ["KEEPER", "Keeper", "on_exchange"]

_LOG = logging.getLogger("llmguard.keeper")
_PERIOD: Final = 1.0
_RETRY: Final = 30.0
_OTHERS: Final[list[Callable[[Store], None]]] = []


def on_exchange(callback: Callable[[Store], None]) -> None:
    """Have `callback` called with the store at every exchange.

    It runs on the keeper's thread, the first time before the first managed call; what
    it raises counts as a failure of the store.
    """
    if callback not in _OTHERS:
        _OTHERS.append(callback)


class Keeper:
    """Starts with the first managed call and ends with the process."""

    def __init__(self, *, period: float = _PERIOD) -> None:
        self._period = period
        self.activity = Activity()
        self.growth = Growth(TALLY)
        self.mover = Mover()
        self.prober = Prober()
        self.recent = RecentMover()
        self.problem: Exception | None = None
        self._reset()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start without a thread in a forked child, and without its parent's counts."""
        self.activity.renew()
        self.growth.renew()
        self.mover.renew()
        self.prober.renew()
        RECENT.renew()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._store: Store | None = None
        self._owed: Mapping[str, Sequence[Objective]] = {}
        self._stop = threading.Event()
        self._due = threading.Event()
        self._exchanged = threading.Event()

    def wake(self) -> None:
        """Start the thread unless it runs; costs one attribute read when it does."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                # Before the first call: a version quarantined earlier stays so, and
                # this one goes where the store says. But no longer than that: a store
                # that hangs must not hold up the call.
                thread = threading.Thread(
                    target=self._run,
                    args=(self._stop, self._due, self._exchanged),
                    name="llmguard-keeper",
                    daemon=True,
                )
                try:
                    thread.start()
                    ROUTER.start()
                except RuntimeError as error:  # the process may start no more threads
                    self._put_off(error)
                    return
                self._exchanged.wait(PATIENCE)
                add_hook(self.activity)
                add_hook(TALLY)
                add_hook(TRAFFIC)
                self.recent.start()
                self._thread = thread
                atexit.register(self.stop)

    def _put_off(self, error: RuntimeError) -> None:
        """Go on without a thread; the next managed call tries again."""
        if self.problem is None:
            _LOG.warning("nothing is written to the store for now: %s", error)
        self.problem = error
        self._stop.set()
        self._due.set()
        self._stop, self._due = threading.Event(), threading.Event()
        self._exchanged = threading.Event()

    def stop(self) -> None:
        """Exchange once more and end the thread."""
        thread = self._thread
        if thread is None:
            return
        ROUTER.stop()
        self._stop.set()
        self._due.set()
        thread.join(timeout=2.0)
        self._reset()

    def hurry(self, *_: object) -> None:
        """Exchange at once: there is news that others wait for."""
        self._due.set()

    def _run(
        self, stop: threading.Event, due: threading.Event, exchanged: threading.Event
    ) -> None:
        self.exchange()
        exchanged.set()
        while True:
            due.wait(self._period if self.problem is None else _RETRY)
            due.clear()
            last = stop.is_set()
            self.exchange()
            if last:
                return

    def exchange(self) -> None:
        """Exchange state with the store once; a failure is kept in `problem`."""
        from ..store import open_store

        try:
            self._exchange(open_store())
        except Exception as error:  # noqa: BLE001 - the store may fail, calls may not
            if self.problem is None:
                _LOG.warning("the store cannot be used, going on without: %s", error)
            self.problem = error
        else:
            self.problem = None

    def _exchange(self, store: Store) -> None:
        from ._runtime import default_runtime

        breakers = default_runtime().breakers
        if self._store is store:
            breakers.sync()
        else:
            breakers.attach(_shared(store), reserve=self.hurry)
            self._store = store
        rows = self.activity.drain()
        if rows:
            store.add_activity(rows)
        self._count(store)
        store.beat(process_name(), _about())
        self.mover.move(store, breakers)
        self.recent.move(store)
        self.prober.look(store)
        for callback in _OTHERS:
            callback(store)

    def _count(self, store: Store) -> None:
        """Move what was counted to the store, exactly once."""
        env, now = config.load().env, time.time()
        batch = self.growth.batch(now)
        if batch is not None:
            store.counts.add(
                env, batch.rows, source=batch.source, number=batch.number, at=batch.at
            )
            self.growth.done()
        owed = declared()
        if owed is not self._owed:
            documents = {
                (function, one.name): json.dumps(one.document())
                for function, objectives in owed.items()
                for one in objectives
            }
            store.counts.put_objectives(env, documents, at=now)
            self._owed = owed


def _shared(store: Store) -> BreakerStore:
    """Return where breakers are shared: the store, or Redis in front of it.

    With a wrong setting the store: slower news are better than none.
    """
    settings = config.load()
    if not settings.breakers:
        return store
    from ..store.redis_breakers import redis_breakers

    try:
        return redis_breakers(settings.breakers, store, env=settings.env)
    except ConfigError as error:
        _LOG.warning("breakers are shared through the store: %s", error)
        return store


def _about() -> dict[str, object]:
    from ._exercise import EXERCISER
    from ._guard import guarded_functions

    return {
        "argv": " ".join(sys.argv[:3])[:200],
        "python": sys.version.split()[0],
        "exercises": EXERCISER.counts(),
        "calls": asdict(RECENT.counts()),
        "routing": ROUTER.about(),
        "functions": {
            guard.name: [_place(guard, step) for step in guard.steps]
            for guard in guarded_functions()
            if guard.managed
        },
    }


def _place(guard: Guard, step: Step) -> dict[str, object]:
    from ._lone import drill_target, how_proven

    pin = None if step.pins is None else step.pins.current
    return {
        "tier": step.name,
        "pin": "" if pin is None else pin.id,
        "model": "" if pin is None else pin.model,
        "proof": how_proven(step),
        "drill": drill_target(guard),
        "problems": [] if step.pins is None else list(step.pins.problems),
    }


KEEPER: Final = Keeper()
ROUTER.on_change(KEEPER.hurry)
