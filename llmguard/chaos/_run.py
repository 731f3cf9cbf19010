"""Starts a plan in this process, counts what it did, and ends it."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from .. import config
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import ConfigError
from ..guard._runtime import Runtime, current_runtime
from ._inject import ahit, hit
from ._plan import Fault, Plan, load_plan

if TYPE_CHECKING:
    from ..guard._commands import Run

__all__ = [
    "Report",
    "active",
    "report",
    "running",
    "start",
    "start_from_settings",
    "stop",
]

_LOG: Final = logging.getLogger("llmguard.chaos")
_PRODUCTION: Final = frozenset({"live", "prod", "production"})
_PLAN: Final = "LLMGUARD_CHAOS_PLAN"
_TOLD_TWICE: Final = "LLMGUARD_CHAOS_IN_PRODUCTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a plan did in this process.

    Attributes:
        plan: The plan.
        seen: Attempts that models made while it ran.
        hits: How often each fault of the plan hit, in the plan's order.
        left: Seconds until it is over; 0 when it is.
    """

    plan: Plan
    seen: int
    hits: tuple[int, ...]
    left: float


class _Injector:
    """What the engine asks at every attempt of a model while a plan runs."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self._clock = clock
        self._until = clock.monotonic() + plan.duration
        self._lock = threading.Lock()
        self._seen = 0
        self._hits: Counter[int] = Counter()

    def sync(self, run: Run, call: Callable[[], object]) -> object:
        """Run a sync attempt, perhaps under a fault."""
        found = self._draw(run)
        return call() if found is None else hit(found[0], run, found[1], call)

    async def awaited(self, run: Run, call: Callable[[], Awaitable[object]]) -> object:
        """Run an async attempt, perhaps under a fault."""
        found = self._draw(run)
        if found is None:
            return await call()
        return await ahit(found[0], run, found[1], call)

    def report(self) -> Report:
        """Return what it did so far."""
        with self._lock:
            return Report(
                plan=self.plan,
                seen=self._seen,
                hits=tuple(self._hits[n] for n in range(len(self.plan.faults))),
                left=max(0.0, self._until - self._clock.monotonic()),
            )

    def _draw(self, run: Run) -> tuple[Fault, float] | None:
        """Return the fault that hits an attempt, and how late its answer is."""
        if self._clock.monotonic() >= self._until or not run.step.is_body:
            return None
        # The call's id decides, so that a seed hits the same calls everywhere.
        place = f"{self.plan.seed}/{run.call.call_id}/{run.step.index}"
        tried = len(run.call.attempts)
        rng = random.Random(f"{place}/{tried}")  # noqa: S311 - no secrets
        for number, fault in enumerate(self.plan.faults):
            drawn = rng.random() < fault.rate
            if drawn and _fits(fault, run):
                late = 0.0
                if fault.do == "delay":
                    late = fault.seconds + rng.random() * fault.jitter
                self._count(number)
                return fault, late
        self._count(None)
        return None

    def _count(self, number: int | None) -> None:
        with self._lock:
            self._seen += 1
            if number is not None:
                self._hits[number] += 1


def _fits(fault: Fault, run: Run) -> bool:
    call = run.call
    pin = call.pins[run.step.index]
    labels: Mapping[str, str] = dict(call.context.labels) if fault.labels else {}
    return (
        call.guard.name.endswith(fault.function)
        and (not fault.tier or fault.tier == run.step.name)
        and (not fault.pin or (pin is not None and fault.pin == pin.id))
        and all(labels.get(name) == value for name, value in fault.labels.items())
    )


_started: tuple[Runtime, _Injector] | None = None


def active() -> bool:
    """Tell whether a plan runs in this process."""
    return _started is not None and _started[1].report().left > 0


def report() -> Report | None:
    """Return what the plan of this process did; None when none was started."""
    return None if _started is None else _started[1].report()


def start(
    plan: Plan, *, allow_production: bool = False, clock: Clock = SYSTEM_CLOCK
) -> None:
    """Run a plan in this process until its duration is over, or `stop()`.

    Attempts of models go wrong as it says; rules, people and constants do not. What
    follows is real: breakers open, and a version may be quarantined in the store.

    Args:
        plan: What goes wrong.
        allow_production: Do it although the setting `env` names production.
        clock: Measures the duration.

    Raises:
        ConfigError: A plan runs already, or this is production.
    """
    global _started  # noqa: PLW0603 - one plan per process by design
    env = config.load().env
    told = allow_production or os.environ.get(_TOLD_TWICE, "") == "1"
    if env in _PRODUCTION and not told:
        raise ConfigError(
            f"chaos is refused in environment {env!r}: set `LLMGUARD_ENV` to another "
            "name, or mean it with `start(plan, allow_production=True)` or "
            f"`{_TOLD_TWICE}=1`"
        )
    if active():
        raise ConfigError("a chaos plan runs already; `llmguard.chaos.stop()` ends it")
    stop()
    runtime, injector = current_runtime(), _Injector(plan, clock)
    runtime.chaos = injector
    _started = (runtime, injector)
    _LOG.warning(
        "chaos: %d faults for %g s in environment %r: %s",
        len(plan.faults),
        plan.duration,
        env,
        plan.reason or "no reason given",
    )


def stop() -> Report | None:
    """End the plan of this process and return what it did; None when none ran."""
    global _started  # noqa: PLW0603 - as above
    if _started is None:
        return None
    runtime, injector = _started
    runtime.chaos = _started = None
    found = injector.report()
    _LOG.warning("chaos: over; %d of %d attempts hit", sum(found.hits), found.seen)
    return found


def start_from_settings() -> bool:
    """Start the plan that `LLMGUARD_CHAOS_PLAN` names; False when it names none.

    Call it where your application starts: then a game day needs no new release.

    Raises:
        ConfigError: As `load_plan` and `start`.
    """
    path = os.environ.get(_PLAN, "")
    if not path:
        return False
    start(load_plan(path))
    return True


@contextmanager
def running(
    plan: Plan, *, allow_production: bool = False, clock: Clock = SYSTEM_CLOCK
) -> Generator[Callable[[], Report]]:
    """Run a plan inside the block.

    Yields:
        A function that returns what it did so far.

    Raises:
        ConfigError: A plan runs already.
    """
    start(plan, allow_production=allow_production, clock=clock)
    injector = cast("tuple[Runtime, _Injector]", _started)[1]
    try:
        yield injector.report
    finally:
        stop()
