"""The chain of one guarded function, resolved once: what runs, with which limits."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .._dataclass import dataclass
from ..pins import Pin, resolve
from ._binder import Binder
from ._builtin_tiers import FunctionTier, OnPin
from ._bulkhead import Bulkhead
from .tiers import AsyncTier, Tier, TierContext, TierOptions

if TYPE_CHECKING:
    from ._guard import Guard

__all__ = ["PinSource", "Step", "build_steps"]

_RECHECK_SECONDS = 1.0


class PinSource:
    """The pin behind a route, looked up again at most once a second.

    A lock that cannot be read any more never means "unpinned": the last good pin
    stays, and the problem is kept for `llmguard doctor`.
    """

    __slots__ = ("_checked", "_pin", "problem", "route")

    def __init__(self, pin: str | Pin) -> None:
        self.route = pin if isinstance(pin, str) else None
        self._pin = resolve(pin) if isinstance(pin, str) else pin
        self._checked: float | None = None
        self.problem: Exception | None = None

    @property
    def current(self) -> Pin:
        """The pin as last looked up."""
        return self._pin

    def at(self, now: float) -> Pin:
        """Return the pin at monotonic time `now`."""
        if self.route is None:
            return self._pin
        if self._checked is None:
            self._checked = now
        elif now - self._checked >= _RECHECK_SECONDS:
            self._checked = now
            self._look_again(self.route)
        return self._pin

    def _look_again(self, route: str) -> None:
        try:
            self._pin = resolve(route)
        except Exception as error:  # noqa: BLE001 - last known good, see the class
            self.problem = error
        else:
            self.problem = None


@dataclass(slots=True, kw_only=True, eq=False)
class Step:
    """One place in the chain.

    Attributes:
        index: 0 for the function itself.
        name: Name of the tier.
        options: Its conditions and limits.
        tier: The tier; None where the guarded function's own body runs.
        pins: Where its pin comes from; None for tiers that are not models.
        inline: It needs neither a thread nor a time limit.
        direct: It runs in the caller's own thread: it is inline, opens a stream (which
            runs none of its code yet), or is a body that is not isolated.
        awaited: It answers with an awaitable.
        bulkhead: Bounds how many calls are in it; None for no bound.
        reserved: Seconds that the tiers below it ask for together.
        latency: Seconds that its good answers take, exponentially smoothed; 0 before
            the first.
    """

    index: int
    name: str
    options: TierOptions
    tier: Tier | None = None
    pins: PinSource | None = None
    inline: bool = False
    direct: bool = False
    awaited: bool = False
    bulkhead: Bulkhead | None = None
    reserved: float = 0.0
    latency: float = 0.0

    @property
    def is_body(self) -> bool:
        """True when the guarded function's own body runs."""
        return self.tier is None

    def run_tier(self, context: TierContext) -> object:
        """Run a tier that is not the body."""
        return cast("Tier", self.tier).run(context)

    async def arun_tier(self, context: TierContext) -> object:
        """Run an async tier that is not the body."""
        if isinstance(self.tier, AsyncTier):
            return await self.tier.arun(context)
        return await cast("Any", self.run_tier(context))

    def learn(self, elapsed: float) -> None:
        """Remember how long a good answer took."""
        self.latency = (
            elapsed if not self.latency else 0.9 * self.latency + elapsed / 10
        )


def _step(index: int, tier: Tier, guard: Guard) -> Step:
    if isinstance(tier, OnPin):
        return _body(guard, index, tier.name, tier.options, tier.pin)
    function = tier.function if isinstance(tier, FunctionTier) else None
    return Step(
        index=index,
        name=tier.name,
        options=tier.options,
        tier=tier,
        inline=tier.inline,
        direct=tier.inline,
        awaited=isinstance(tier, AsyncTier) or inspect.iscoroutinefunction(function),
        bulkhead=_bulkhead(tier.options),
    )


def _body(
    guard: Guard, index: int, name: str, options: TierOptions, pin: str | Pin | None
) -> Step:
    """Return the step that runs the guarded function's own body on a pin."""
    return Step(
        index=index,
        name=name,
        options=options,
        pins=None if pin is None else PinSource(pin),
        direct=guard.is_stream or not guard.isolate,
        awaited=guard.kind == "async",
        bulkhead=_bulkhead(options),
    )


def _bulkhead(options: TierOptions) -> Bulkhead | None:
    limit = options.concurrency
    return None if limit is None else Bulkhead(limit)


def _with_arguments(tier: Tier, binder: Binder) -> Tier:
    """Have a plain function get `*args` and `**kwargs` as the guarded one would."""
    if isinstance(tier, FunctionTier) and binder.nameless:
        return replace(tier, spread=binder.spread)
    return tier


def build_steps(guard: Guard) -> tuple[Step, ...]:
    """Resolve a guard's chain.

    Raises:
        LockError: A route is not in `models.lock`.
    """
    name = guard.pin if isinstance(guard.pin, str) else guard.pin_name or "primary"
    primary = _body(guard, 0, name, guard.primary, guard.pin)
    tiers = [_with_arguments(tier, guard.binder) for tier in guard.tiers]
    steps = (primary, *(_step(i, t, guard) for i, t in enumerate(tiers, start=1)))
    for step in steps:
        step.reserved = sum(s.options.reserve for s in steps[step.index + 1 :])
    return steps
