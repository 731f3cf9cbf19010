"""The plan of one route at one revision: everything a call needs to pick its pin.

It is made when the table or the lock changes and then read by every call, so that the
path of a call holds no more than a hash or two, and none where there is no choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final

from .._dataclass import dataclass
from ..errors import LockError
from ._cache import admit
from ._lock import Lock
from ._pin import Pin
from ._rules import RouteRules, Slice
from .routing import ACTIVE, CANARY, RoutingTable, bucket, canary_salt, experiment_salt

if TYPE_CHECKING:
    from ..store import RouteState

__all__ = ["RoutePlan", "Way", "plan_route"]

_QUARANTINED: Final = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One version that a call may be sent to.

    Attributes:
        pin: The version.
        experiment: What the choice was about: the name of an experiment, or
            `canary:PIN`; empty where there was none.
        arm: Which side of it this is.
        rest: Who answers instead while this version's breaker admits nobody; None for
            nobody.
        refused: Why nobody may be served by it; empty when all is well.
    """

    pin: Pin
    experiment: str = ""
    arm: str = ""
    rest: Pin | None = None
    refused: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class RoutePlan:
    """How the calls of one route are shared, as of one table and one lock.

    Attributes:
        table: The table it was made of.
        lock: The lock it was made of.
        route: Name of the route.
        rules: What the project declares about it.
        active: Where calls go that nothing else takes.
        plain: True when that is all of them.
        problems: What the table asks for and the lock does not allow, one line each.
        canary: Its salt, its weight in basis points and its way; None without one.
        salt: Of the experiment that runs.
        arms: Its arms, each with the bucket that it ends before.
        slices: Slices of the traffic with plans of their own.
    """

    table: RoutingTable
    lock: Lock
    route: str
    rules: RouteRules
    active: Way
    plain: bool = True
    problems: tuple[str, ...] = ()
    canary: tuple[str, int, Way] | None = None
    salt: str = ""
    arms: tuple[tuple[int, Way], ...] = ()
    slices: tuple[tuple[Slice, RoutePlan], ...] = field(default=())

    def pick(self, unit: str, labels: Mapping[str, str]) -> Way:
        """Return where a call goes.

        Args:
            unit: Whom it belongs to.
            labels: What its caller said about it.
        """
        for piece, plan in self.slices:
            if piece.takes(labels):
                return plan.pick(unit, labels)
        if self.canary is not None:
            salt, weight, way = self.canary
            if bucket(self.route, salt, unit) < weight:
                return way
        if self.arms:
            place = bucket(self.route, self.salt, unit)
            for upper, way in self.arms:
                if place < upper:
                    return way
        return self.active

    def unit(self, key: str, labels: Mapping[str, str]) -> str:
        """Return whom a call belongs to; empty when its caller did not say."""
        if key:
            return key
        for label in self.rules.unit:
            if found := labels.get(label):
                return found
        return ""


def plan_route(
    route: str,
    *,
    table: RoutingTable,
    lock: Lock,
    rules: RouteRules,
    before: Pin | None = None,
) -> RoutePlan:
    """Return the plan of a route.

    A pin that the lock does not allow, or that is quarantined, is in no plan: the last
    good one stays, the lock's active pin stands in, or, where neither may run, the
    plan refuses, and calls go on down their chain.

    Args:
        route: Name of the route.
        table: What the store says.
        lock: What may run.
        rules: What the project declares about it.
        before: The pin that was active until now.

    Raises:
        LockError: The lock has no such route, or refuses its pin in strict mode.
    """
    plan = _Planner(route, table, lock, before).plan(rules)
    slices = tuple((one, _slice_plan(plan, one)) for one in rules.slices)
    plan.slices = slices
    plan.plain = plan.plain and not slices
    plan.problems += tuple(text for _, inner in slices for text in inner.problems)
    return plan


def _slice_plan(plan: RoutePlan, piece: Slice) -> RoutePlan:
    """Return the plan of a slice; the slices of the route it names do not count."""
    if piece.route:
        planner = _Planner(piece.route, plan.table, plan.lock, None)
        return planner.plan(plan.rules)
    pin = admit(plan.lock.pin(piece.pin))
    state = plan.table.route(pin.route)
    out = state is not None and state.stages.get(pin.id) == _QUARANTINED
    problem = f"pin {pin.id!r} of a slice of route {plan.route!r} is quarantined"
    # Without the store nobody knows whether it still is what it was.
    closed = plan.table.closed and state is not None
    return RoutePlan(
        table=plan.table,
        lock=plan.lock,
        route=plan.route,
        rules=plan.rules,
        active=plan.active if out or closed else Way(pin=pin, rest=plan.active.pin),
        problems=(problem,) if out else (),
    )


class _Planner:
    """Makes one plan; collects what it could not do."""

    def __init__(
        self, route: str, table: RoutingTable, lock: Lock, before: Pin | None
    ) -> None:
        self.route, self.table, self.lock = route, table, lock
        self.before = before
        self.state: RouteState | None = table.route(route)
        self.problems: list[str] = []

    def plan(self, rules: RouteRules) -> RoutePlan:
        """Return the plan, without slices."""
        declared = admit(self.lock.resolve(self.route))
        active = self._active(declared)
        plan = RoutePlan(
            table=self.table,
            lock=self.lock,
            route=self.route,
            rules=rules,
            active=active,
        )
        if not active.refused:
            self._share(plan, active.pin)
        plan.problems = tuple(self.problems)
        return plan

    def _active(self, declared: Pin) -> Way:
        state = self.state
        if state is None and (self.table.read_at or not self.table.closed):
            return Way(pin=declared)
        if self.table.closed or state is None:
            return Way(
                pin=self.before or declared,
                refused=f"the store has not answered for longer than `max_stale` "
                f"allows ({self.table.problem})",
            )
        chosen = declared if state.active is None else self._allowed(state.active)
        kept = self.before
        if kept is not None and kept.id not in self.lock.routes[self.route].allowed:
            kept = None
        found = next((pin for pin in (chosen, kept, declared) if self._fit(pin)), None)
        if found is None:
            why = f"pin {declared.id!r} is quarantined and no other one is active"
            return Way(pin=declared, refused=why)
        return Way(pin=found)

    def _share(self, plan: RoutePlan, active: Pin) -> None:
        state = self.state
        if state is not None and state.canary is not None:
            self._add_canary(plan, *state.canary, active)
        if self.table.experiments.get(self.route) is not None:
            self._add_arms(plan, active)
        plan.plain = plan.canary is None and not plan.arms

    def _add_canary(self, plan: RoutePlan, name: str, weight: int, active: Pin) -> None:
        pin = self._allowed(name)
        if not weight or pin is None:
            return
        about = f"canary:{pin.id}"
        way = Way(pin=pin, experiment=about, arm=CANARY, rest=active)
        plan.canary = (canary_salt(pin.id), weight, way)
        plan.active = Way(pin=active, experiment=about, arm=ACTIVE)

    def _add_arms(self, plan: RoutePlan, active: Pin) -> None:
        experiment = self.table.experiments[self.route]
        upper, arms = 0, list[tuple[int, Way]]()
        for arm in experiment.arms:
            upper += arm.weight
            pin = self._allowed(arm.pin) if arm.pin else active
            if not self._fit(pin):
                # Its units are not part of the comparison while it cannot answer.
                arms.append((upper, plan.active))
                continue
            rest = None if pin is active or pin is None else active
            way = Way(
                pin=pin or active, experiment=experiment.name, arm=arm.name, rest=rest
            )
            arms.append((upper, way))
        plan.salt = experiment_salt(experiment)
        plan.arms = tuple(arms)

    def _allowed(self, name: str) -> Pin | None:
        """Return a pin that the lock allows on this route; None is a problem."""
        if name not in self.lock.routes[self.route].allowed:
            self.problems.append(
                f"the ledger sends calls of route {self.route!r} to pin {name!r}, "
                "which models.lock does not allow: deploy the lock that has it, or "
                f"move the route to another pin, `llmguard promote {self.route} PIN`"
            )
            return None
        try:
            return admit(self.lock.pin(name))
        except LockError as error:
            self.problems.append(str(error))
            return None

    def _fit(self, pin: Pin | None) -> bool:
        """Tell whether a pin may serve users at all."""
        if pin is None or self.state is None:
            return pin is not None
        return self.state.stages.get(pin.id) != _QUARANTINED
