"""The shadows of this process: which run, whom they follow, how they end."""

from __future__ import annotations

import atexit
import hashlib
import logging
import threading
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from ...clock import SYSTEM_CLOCK, Clock
from ...errors import LLMGuardError
from ...guard._forks import renew_after_fork
from ...guard._keeper import on_exchange
from ...guard._runtime import default_runtime
from ._compare import Comparing
from ._draw_all import Drawer
from ._follow import follow
from ._lane import Lane
from ._run import LiveRun
from ._spec import spec_of

if TYPE_CHECKING:
    from asyncio import Runner

    from ...guard import Guard
    from ...guard._call import Call
    from ...store import Store
    from ...suite import Prices
    from ._follow import Follower
    from ._run import Reserve
    from ._work import Work

__all__ = ["SHADOWS", "Shadows", "run_key"]

_NEEDED: Final = ("asyncio", "pydantic_core", "llmguard.shadow.live._exchange")
_LOG: Final = logging.getLogger("llmguard.shadow")


def run_key(*parts: str) -> str:
    """Return the id of the run that all parts together name."""
    text = "\0".join(parts)
    return f"s-{hashlib.sha256(text.encode()).hexdigest()[:10]}"


class Shadows:
    """Every shadow that this process takes part in.

    Args:
        clock: Where it reads the time.

    Attributes:
        runs: The process's part of each run, by its id.
        ending: Runs that have stopped, whose last draws are still under way.
        tidied_at: Epoch seconds when what is too old was last deleted.
        problems: Why this process cannot take part in a run, by the run's id.
        failed: Times that following a call raised, which its caller never saw.
    """

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.runs: dict[str, LiveRun] = {}
        self.problems: dict[str, str] = {}
        self.tidied_at = 0.0
        self.failed = 0
        self._attached = False
        self._reset()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start without threads and waiting requests in a forked child."""
        for run in self.runs.values():
            run.renew()
            if run.lane is not None:
                run.lane.renew()
            if run.comparing is not None:
                run.comparing.renew()
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._found: dict[str, tuple[LiveRun, ...]] = {}
        self.ending: list[LiveRun] = []
        self.store: Store | None = None

    def attach(self) -> None:
        """Follow the calls of this process; a second time changes nothing."""
        if self._attached:
            return
        self._attached = True
        _preload()
        default_runtime().watch = self.watch
        from ._exchange import exchange

        on_exchange(partial(exchange, self))
        atexit.register(self.close)

    # --- live calls

    def watch(self, call: Call) -> Follower | None:
        """Return who follows a call; never raises, and waits for nothing."""
        try:
            runs = self._found.get(call.guard.name)
            if runs is None:
                runs = self._find(call.guard)
            return follow(call, runs) if runs else None
        except Exception:  # noqa: BLE001 - a shadow must never fail a call
            self.failed += 1
            _LOG.debug("a call could not be followed", exc_info=True)
            return None

    def _find(self, guard: Guard) -> tuple[LiveRun, ...]:
        """Return the runs of a function, and remember them."""
        with self._lock:
            spec = spec_of(guard)
            if spec is not None and spec.pin is not None and not guard.managed:
                self._in_memory(guard)
            subjects = {guard.name, guard.pin if isinstance(guard.pin, str) else ""}
            found = tuple(run for run in self.runs.values() if run.subject in subjects)
            self._found = {**self._found, guard.name: found}
            return found

    def _in_memory(self, guard: Guard) -> None:
        """Start what `@shadow` asks for where no store is kept."""
        spec = spec_of(guard)
        if spec is None or spec.pin is None:
            return
        key = run_key(guard.name, spec.pin.id, spec.options.text())
        if key not in self.runs:
            run = LiveRun(
                key,
                subject=guard.name,
                pin=spec.pin,
                options=spec.options,
                started_at=self.clock.time(),
                clock=self.clock,
            )
            self.open(run, reserve=None)

    # --- runs

    def open(self, run: LiveRun, *, reserve: Reserve | None) -> None:
        """Take part in a run from now on.

        Raises:
            ConfigError: Its prices cannot be read, or what redacts is not there.
        """
        drawer = Drawer(run, reserve=reserve, prices=_prices(run))
        comparing = Comparing(run)

        def do(work: Work, loop: Runner) -> None:
            pair = drawer.draw(work, loop)
            if pair is not None:
                comparing.take(work, pair)

        def broken(work: Work, error: BaseException) -> None:
            name = f"failed: {type(error).__name__} in the shadow itself"
            run.counts.add(name, function=work.guard.name, stratum=work.stratum)

        run.comparing = comparing
        run.lane = Lane(
            f"llmguard-shadow-{run.subject[-24:]}",
            do,
            broken=broken,
            workers=run.options.concurrency,
            capacity=run.options.capacity,
        )
        with self._lock:
            self.runs[run.key] = run
            self._found = {}

    def drop(self, run: LiveRun) -> None:
        """Take no part in a run any more; what waits is dropped.

        It stays in `ending` until its last draws have ended, for what they count.
        """
        with self._lock:
            self.runs.pop(run.key, None)
            self._found = {}
        if run.lane is not None:
            lost = run.lane.close()
            if lost:
                name = "dropped: the shadow has stopped"
                run.counts.add(name, function=run.subject, n=lost)
            self.ending.append(run)

    def problem(self, run: str, text: str) -> bool:
        """Note why this process cannot take part in a run; False when it is known."""
        if self.problems.get(run) == text:
            return False
        self.problems[run] = text
        _LOG.warning("the shadow %s cannot run: %s", run, text)
        return True

    def join(self) -> None:
        """Wait until everything that was sampled has been drawn; for tests."""
        for run in list(self.runs.values()):
            if run.lane is not None:
                run.lane.join()

    def close(self) -> Mapping[str, int]:
        """End what waits, as each run says; calls later on are not followed.

        Returns:
            How many sampled requests each run dropped.
        """
        dropped: dict[str, int] = {}
        for run in list(self.runs.values()):
            if run.lane is None:
                continue
            drain = run.options.on_exit == "drain"
            seconds = run.options.drain_seconds if drain else 0.0
            lost = dropped[run.key] = run.lane.close(drain=seconds)
            if lost:
                name = "dropped: the process ended"
                run.counts.add(name, function=run.subject, n=lost)
        if self.store is not None:
            self._settle(self.store)
        return dropped

    def _settle(self, store: Store) -> None:
        """Write what is left and return what was not spent: nobody will later."""
        from ._exchange import flush

        for run in (*self.runs.values(), *self.ending):
            left = run.give_back()
            try:
                flush(run, store, last=True)
                if left:
                    store.shadow.reserve(run.key, -left)
            except LLMGuardError as error:
                _LOG.warning("the last counts of %s are lost: %s", run.key, error)


def _preload() -> None:
    """Import now what draws need: a fork would find half an import in a thread."""
    for name in _NEEDED:
        import_module(name)


def _prices(run: LiveRun) -> Prices | None:
    if not run.options.prices:
        return None
    from ...suite import read_prices

    return read_prices(run.options.prices)


SHADOWS: Final = Shadows()
"""Those of this process."""
