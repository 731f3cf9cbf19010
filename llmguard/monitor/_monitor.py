"""The monitor: one hook, one bounded queue and one daemon thread per process."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from .. import config
from ..detectors import Detector
from ..errors import ConfigError
from ..guard._forks import renew_after_fork
from ..store import Store
from ..telemetry import Answer, add_answer_hook, remove_answer_hook
from ._alarms import Teller
from ._intake import Intake, IntakeCounts
from ._respond import Responder
from ._sites import Sites, Watching

if TYPE_CHECKING:
    from ..suite._prices import Prices
    from .drift import Calibration, Classifier

__all__ = ["Monitor"]

_LOG: Final = logging.getLogger("llmguard.monitor")
_PERIOD: Final = 1.0
_FLUSH: Final = 10.0
_GAP: Final = 0.002
"""Seconds between two evaluations, in which callers have the interpreter."""
_LAST: Final = 2.0


class Monitor:
    """Watches what versions say, off the callers' path, and acts when it must.

    Args:
        store: Where baselines and figures are kept; None for the one that the process
            keeps, or memory alone where it keeps none.
        env: Environment; `LLMGUARD_ENV` or the setting `env` by default.
        per_second: Answers that are read a second; above it a sample is read, and all
            are counted.
        capacity: Answers that may wait to be read; more are dropped and counted.
        learn: Outputs that a baseline is made of, 200 at least.
        per_10k: False alarms per 10,000 outputs, over all detectors of a version.
        block: Mean run of related prompts; None to measure it from the baseline.
        patterns: Regular expressions to watch, by name.
        classifiers: Functions to watch.
        detectors: Text detectors to count labels of, such as
            `llmguard.detectors.language()`; they raise no alarm.
        prompts: False to leave prompts unread; then a new mix of inputs may alarm.
        prices: What calls cost, from `llmguard.suite.read_prices`.
        responder: Acts on alarms and quarantines; None to only tell.

    Raises:
        ConfigError: numpy is missing, or a number makes no sense.
    """

    def __init__(
        self,
        *,
        store: Store | None = None,
        env: str | None = None,
        per_second: float = 20.0,
        capacity: int = 1024,
        learn: int = 400,
        per_10k: float = 1.0,
        block: float | None = None,
        patterns: Mapping[str, str] | None = None,
        classifiers: Iterable[Classifier] = (),
        detectors: Iterable[Detector] = (),
        prompts: bool = True,
        prices: Prices | None = None,
        responder: Responder | None = None,
    ) -> None:
        drift = _drift()
        if learn < drift.LEAST or per_second <= 0 or capacity < 2 or per_10k <= 0:  # noqa: PLR2004 - half of it is for the sample
            raise ConfigError(
                f"a monitor needs `learn` of at least {drift.LEAST} (not {learn!r}), "
                f"and `per_second`, `capacity` and `per_10k` above 0"
            )
        from ._learn import Learner

        self.env = config.load().env if env is None else env
        self.intake = Intake(per_second=per_second, capacity=capacity)
        self._watching = Watching(
            patterns=dict(patterns or {}),
            classifiers=tuple(classifiers),
            detectors=tuple(detectors),
            prompts=prompts,
            prices=prices,
        )
        # A bad pattern is refused now, not by the thread.
        drift.Extractor(patterns=self._watching.patterns)
        calibration: Calibration = drift.Calibration(per_10k=per_10k, block=block)
        self._learner = Learner(
            env=self.env,
            outputs=learn,
            calibration=calibration,
            frozen=None if responder is None else responder.remember,
        )
        self._store = store
        self._responder = responder
        self.teller = Teller(env=self.env)
        self._hook: Any = self.offer
        self._started = False
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start with an empty queue and no thread, as a forked child does."""
        self._pid = os.getpid()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.intake.renew()
        self.sites = Sites(self._watching)
        self.evaluated = self.failures = 0
        self.last_error = ""
        self._flushed = time.monotonic()

    # --- the callers' side

    def offer(self, answer: Answer) -> None:
        """Take one attempt; the hook of every guarded call."""
        attempt = answer.attempt
        if not attempt.pin or attempt.number != 1 or attempt.reask:
            return  # a repaired answer says nothing about the version's habits
        if self.intake.offer(answer) and (
            self._thread is None or self._pid != os.getpid()
        ):
            self._launch()

    def start(self) -> Monitor:
        """Listen from now on; returns itself."""
        if not self._started:
            self._started = True
            add_answer_hook(self._hook)
            if self._responder is not None:
                self._responder.start(self)
            atexit.register(self.stop)
        return self

    def stop(self, timeout: float = _LAST) -> None:
        """Stop listening, read what waits for at most `timeout` seconds, store it."""
        if self._started:
            self._started = False
            remove_answer_hook(self._hook)
            atexit.unregister(self.stop)
        if self._responder is not None:
            self._responder.stop()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._stop.set()
            self.intake.ring.set()
            thread.join(timeout)
            self._thread = None
            self._stop = threading.Event()

    def use_store(self, store: Store | None) -> None:
        """Keep baselines and figures there from now on."""
        self._store = store

    @property
    def store(self) -> Store | None:
        """Where baselines and figures are kept."""
        return self._store

    def counts(self) -> IntakeCounts:
        """Return what became of the answers so far."""
        return self.intake.counts()

    # --- the thread

    def _launch(self) -> None:
        with self._lock:
            if self._pid != os.getpid():  # forked without Python's knowledge
                self.renew()
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="llmguard-monitor", daemon=True
                )
                with contextlib.suppress(RuntimeError):  # the next answer tries again
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        stop, ring = self._stop, self.intake.ring
        while True:
            ring.wait(_PERIOD)
            ring.clear()
            last = stop.is_set()
            self.drain(gap=0.0 if last else _GAP)
            self.look(flush=last)
            if last:
                return
            stop.wait(_GAP)

    def drain(self, *, gap: float = 0.0, seconds: float = _LAST) -> int:
        """Read what waits; returns how many answers were read.

        Args:
            gap: Seconds to sleep between two.
            seconds: When to stop.
        """
        until, done = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            item = self.intake.take()
            if item is None:
                break
            self._guarded(self._read, *item)
            done += 1
            if gap:
                time.sleep(gap)
        return done

    def look(self, *, flush: bool = False) -> None:
        """Move counts to sketches, learn, freeze, and store what is due."""
        self._guarded(self._count)
        now = time.monotonic()
        due = flush or now - self._flushed >= _FLUSH
        for site in list(self.sites.all.values()):
            self._guarded(self._learner.look, site, self._store, now, last=flush)
            if due and self._store is not None:
                self._guarded(self._learner.flush, site, self._store, time.time())
        if due:
            self._flushed = now

    def _count(self) -> None:
        for (function, pin, kind), n in self.intake.take_kinds().items():
            self.sites.get(function, pin)[0].sketch.told(str(kind), n)

    def _read(self, answer: Answer, sampled: bool) -> None:
        if not sampled:
            return  # kept for its kind alone: failures would bias the sample
        site, new = self.sites.get(answer.function, answer.attempt.pin)
        if new:
            self._learner.look(site, self._store, time.monotonic())
        self.sites.inputs(answer.function).keep(answer.inputs)
        self.evaluated += 1
        for alarm in site.read(answer):
            self.teller.drift(site, alarm, self._store)
            if self._responder is not None:
                self._responder.suspect(site, alarm)

    def _guarded(self, act: Any, *args: Any, **options: Any) -> None:
        try:
            act(*args, **options)
        except Exception as error:  # noqa: BLE001 - a broken detector must not end the watch
            self.failures += 1
            if repr(error) != self.last_error:
                self.last_error = repr(error)
                _LOG.warning("the monitor stumbled and goes on", exc_info=True)


def _drift() -> Any:
    with contextlib.suppress(ImportError):
        from . import drift

        return drift
    raise ConfigError(
        "the monitor needs numpy; run `pip install 'llmguard-toolkit[monitor]'`"
    )
