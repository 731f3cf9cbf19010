"""The chain of one guarded function, resolved once: what runs, with which limits."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from .._dataclass import dataclass
from ..pins import Lock, Pin
from ..pins._cache import good_lock
from ..pins._rules import Slice, rules_of
from ..pins._ways import RoutePlan, plan_route
from ..pins.routing import UNROUTED, RoutingTable
from ._binder import Binder
from ._builtin_tiers import FunctionTier, OnPin
from ._bulkhead import Bulkhead
from .tiers import AsyncTier, Tier, TierContext, TierOptions

if TYPE_CHECKING:
    from ._guard import Guard

__all__ = ["PinSource", "Step", "build_steps"]

_RECHECK_SECONDS = 1.0


class PinSource:
    """The pins behind a route: planned anew with every table, and every new lock.

    A lock that cannot be read any more never means "unpinned": the last good plan
    stays, and the problem is kept for `llmguard doctor`.
    """

    __slots__ = ("_checked", "_fixed", "_plan", "_slices", "problem", "route")

    def __init__(self, pin: str | Pin, slices: Sequence[Slice] = ()) -> None:
        self._slices = slices
        self._checked: float | None = None
        self._plan: RoutePlan | None = None
        self.problem: Exception | None = None
        if isinstance(pin, Pin):
            self.route, self._fixed = None, pin
        else:
            self.route = pin
            self._plan = self._planned(pin, UNROUTED)
            self._fixed = self._plan.active.pin

    @property
    def current(self) -> Pin:
        """The active pin as last looked up."""
        return self._fixed if self._plan is None else self._plan.active.pin

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps it from serving what it should, one line each."""
        found = () if self.problem is None else (str(self.problem),)
        return found if self._plan is None else found + self._plan.problems

    def plan(self, now: float, table: RoutingTable) -> RoutePlan:
        """Return the plan of a route.

        Args:
            now: Monotonic time; the lock is looked at once a second.
            table: What the call goes by.
        """
        plan, checked = cast("RoutePlan", self._plan), self._checked
        if plan.table is table:
            if checked is None:
                self._checked = now
                return plan
            if now - checked < _RECHECK_SECONDS:
                return plan
        self._checked = now
        try:
            plan = self._planned(cast("str", self.route), table)
        except Exception as error:  # noqa: BLE001 - last known good, see the class
            self.problem = error
            plan = self._planned(plan.route, table, lock=plan.lock)
        else:
            self.problem = None
        self._plan = plan
        return plan

    def _planned(
        self, route: str, table: RoutingTable, *, lock: Lock | None = None
    ) -> RoutePlan:
        lock, before = lock or good_lock(), self._plan
        if before is not None and before.table is table and before.lock is lock:
            return before
        return plan_route(
            route,
            table=table,
            lock=lock,
            rules=rules_of(route, slices=self._slices),
            before=None if before is None else before.active.pin,
        )


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
        bounded: It is a body that can wait for nothing but its model, judged by no
            code of its author: it needs a thread only where the provider may hang.
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
    bounded: bool = False
    awaited: bool = False
    bulkhead: Bulkhead | None = None
    reserved: float = 0.0
    latency: float = 0.0

    @property
    def durable(self) -> bool:
        """True when it keeps the call for later, so that it must not be passed over."""
        return bool(getattr(self.tier, "durable", False))

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
        return _body(guard, index, tier.name, tier.options, PinSource(tier.pin))
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
    guard: Guard,
    index: int,
    name: str,
    options: TierOptions,
    pins: PinSource | None,
) -> Step:
    """Return the step that runs the guarded function's own body on a pin."""
    return Step(
        index=index,
        name=name,
        options=options,
        pins=pins,
        direct=guard.is_stream or not guard.isolate,
        bounded=guard.bounded,
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
    pins = None if guard.pin is None else PinSource(guard.pin, guard.slices)
    primary = _body(guard, 0, name, guard.primary, pins)
    tiers = [_with_arguments(tier, guard.binder) for tier in guard.tiers]
    steps = (primary, *(_step(i, t, guard) for i, t in enumerate(tiers, start=1)))
    for step in steps:
        step.reserved = sum(s.options.reserve for s in steps[step.index + 1 :])
    return steps
