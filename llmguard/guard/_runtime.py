"""What the engine takes from outside: time, randomness, breakers, listeners."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, Protocol, cast

from .._dataclass import dataclass
from ..breaker import BreakerRegistry
from ..clock import SYSTEM_CLOCK, Clock
from ..pins.router import ROUTER
from ..pins.routing import Routed, TableSource
from ._forks import renew_after_fork
from ._isolate import COURIERS, Couriers
from ._retry import RetryBudget, RetryPolicy

if TYPE_CHECKING:
    from ._call import Call
    from ._commands import Run
    from ._plan import Step
    from ._watch import Watch

__all__ = ["Injector", "Runtime", "current_runtime", "default_runtime", "use_runtime"]


class Injector(Protocol):
    """Makes attempts go wrong on purpose; see `llmguard.chaos`."""

    def sync(self, run: Run, call: Callable[[], object]) -> object:
        """Run a sync attempt, or open a stream."""
        ...

    def awaited(
        self, run: Run, call: Callable[[], Awaitable[object]]
    ) -> Awaitable[object]:
        """Run an async attempt."""
        ...


@dataclass(slots=True, kw_only=True, eq=False, weakref_slot=True)
class Runtime:
    """Everything a call needs that is not its own.

    Attributes:
        clock: Where the time comes from.
        rng: Where jitter comes from.
        breakers: One breaker per function and pin; by default fresh ones on `clock`.
        couriers: Threads that sync tiers run on; None runs them in the caller's thread,
            where a hanging function cannot be left.
        retry: How retries are spaced.
        managed: True when this process keeps a store and a heartbeat.
        exercise: Told of every answered call and the step that answered, to run the
            tiers below it in the background; None for no exercises.
        watch: Asked at the start of every call for who is to be told of it; None for
            nobody. It must not raise.
        routing: Where the table comes from that a call's pins are chosen by.
        chaos: Stands between the engine and every attempt of a model, to make it go
            wrong on purpose; None for never.
        apart: True for calls that no caller waits for: only first tiers run, no hook
            is told, and a body that does harm when run twice is refused.
    """

    clock: Clock = SYSTEM_CLOCK
    rng: random.Random = field(default_factory=random.Random)
    breakers: BreakerRegistry = field(default=cast("BreakerRegistry", None))
    couriers: Couriers | None = COURIERS
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    managed: bool = False
    exercise: Callable[[Call, Step], None] | None = None
    watch: Callable[[Call], Watch | None] | None = None
    routing: TableSource = field(default_factory=Routed)
    chaos: Injector | None = None
    apart: bool = False
    _budgets: dict[tuple[str, str], RetryBudget] = field(
        default_factory=dict[tuple[str, str], RetryBudget]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Give the breakers the same time and randomness as everything else."""
        if self.breakers is cast("BreakerRegistry", None):
            self.breakers = BreakerRegistry(clock=self.clock, rng=self.rng.random)
        renew_after_fork(self)

    def renew(self) -> None:
        """Take a fresh lock after a fork."""
        self._lock = threading.Lock()

    def budget(self, key: tuple[str, str]) -> RetryBudget:
        """Return the retry budget of one function and pin, or tier."""
        found = self._budgets.get(key)
        if found is None:
            with self._lock:
                found = self._budgets.setdefault(key, RetryBudget())
        return found


_DEFAULT = Runtime(managed=True, routing=ROUTER)
_CURRENT: ContextVar[Runtime | None] = ContextVar("llmguard_runtime", default=None)


def default_runtime() -> Runtime:
    """Return the runtime of the process, whatever this context uses."""
    return _DEFAULT


def current_runtime() -> Runtime:
    """Return the runtime that guarded calls in this context use."""
    return _CURRENT.get() or _DEFAULT


@contextmanager
def use_runtime(runtime: Runtime) -> Generator[Runtime]:
    """Use another runtime inside the block: a virtual clock, fresh breakers.

    Yields:
        The runtime.
    """
    token = _CURRENT.set(runtime)
    try:
        yield runtime
    finally:
        _CURRENT.reset(token)
