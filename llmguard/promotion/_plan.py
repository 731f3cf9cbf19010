"""What a changed lock would do: the lock against the ledger, and every gate's word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..clock import SYSTEM_CLOCK
from ..pins import Lock, load_lock
from ..store import LedgerCheck, RouteState, Stage, Store
from ._asking import environment, make_request
from .gates import ask
from .problems import PromotionError
from .request import target_text
from .types import Pending, Plan, PlannedPin, RoutePlan

__all__ = ["plan"]

_TRIED = {"canary": 500, "active": None}
"""Targets that a plan asks the gates about; 5 % stands for any canary."""


def plan(
    *,
    store: Store,
    env: str | None = None,
    route: str | None = None,
    lock: Lock | None = None,
    actor: str = "",
    now: float | None = None,
) -> Plan:
    """Compare the lock with the ledger, and ask the gates about what is new.

    Args:
        store: The store of the environment.
        env: Environment; the one of this process by default.
        route: One route only.
        lock: What may run; the configured lock by default.
        actor: Who would promote; by default who is logged in.
        now: Epoch seconds; by default the present.

    Raises:
        PromotionError: Neither lock nor ledger knows the route.
        LockError: The lock cannot be used.
    """
    env = environment(env)
    lock = load_lock() if lock is None else lock
    states = store.ledger.route_states(env)
    names = sorted({*lock.routes, *states})
    if route is not None and route not in names:
        known = ", ".join(names) or "none"
        raise PromotionError(
            f"neither `models.lock` nor the ledger of {env!r} knows a route {route!r} "
            f"(known: {known})"
        )
    planner = _Planner(
        store, env, lock, actor, SYSTEM_CLOCK.time() if now is None else now
    )
    wanted = names if route is None else [route]
    routes = tuple(planner.route(name, states.get(name)) for name in wanted)
    return Plan(env=env, lock_digest=lock.digest, routes=routes)


class _Planner:
    def __init__(
        self, store: Store, env: str, lock: Lock, actor: str, now: float
    ) -> None:
        self.store, self.env, self.lock = store, env, lock
        self.actor, self.now = actor, now
        self.check: LedgerCheck = store.ledger.verify()

    def route(self, name: str, state: RouteState | None) -> RoutePlan:
        state = state or RouteState(env=self.env, route=name)
        declared = self.lock.routes.get(name)
        active = declared.active if declared else ""
        ids = [*(declared.allowed if declared else ())]
        ids += [pin for pin in state.stages if pin not in ids]
        pins = tuple(self.pin(name, state, pin, active) for pin in ids)
        return RoutePlan(
            route=name,
            rev=state.rev,
            declared=active,
            serves=state.active or active,
            canary=state.canary,
            pins=pins,
            notes=tuple(self.notes(name, state, active)),
        )

    def pin(self, route: str, state: RouteState, pin: str, declared: str) -> PlannedPin:
        one = self.lock.pins.get(pin)
        stage = state.stages.get(pin)
        change = _change(state, pin, declared, known=one is not None)
        moves: tuple[Pending, ...] = ()
        if change in {"new", "wanted"} or (one and stage in _MOVING):
            moves = tuple(self.moves(route, state, pin))
        return PlannedPin(
            pin=pin,
            model=one.model if one else "",
            owner=one.owner if one else "",
            stage=stage.value if stage else None,
            change=change,
            moves=moves,
            next=self.next(pin, change, moves),
        )

    def moves(self, route: str, state: RouteState, pin: str) -> Iterator[Pending]:
        for to, weight in _TRIED.items():
            if to == "canary" and state.canary and state.canary[0] == pin:
                continue
            request = make_request(
                store=self.store,
                env=self.env,
                route=route,
                pin=pin,
                to=to,
                weight=weight,
                lock=self.lock,
                state=state,
                actor=self.actor,
                now=self.now,
            )
            gates = ask(replace(request, check=self.check))
            yield Pending(to=to, weight=weight, gates=gates)

    def next(self, pin: str, change: str, moves: tuple[Pending, ...]) -> str:
        from .. import config

        where = "" if self.env == config.load().env else f" --env {self.env}"
        if change == "quarantined":
            return f"llmguard resume {pin}{where} --reason TEXT"
        if not moves:
            return ""
        return (
            f"llmguard promote {pin} {target_text(moves[0].to, moves[0].weight)}{where}"
        )

    def notes(self, route: str, state: RouteState, active: str) -> Iterator[str]:
        if not self.check.ok:
            yield f"the ledger was tampered with: {self.check.problem}"
        if not state.rev:
            yield (
                f"no entries in {self.env!r} yet: the lock's {active} serves, and the "
                "first promotion records it"
            )
        if route not in self.lock.routes:
            yield f"the lock has lost the route; processes keep {state.active}"
        elif state.active and state.active not in self.lock.routes[route].allowed:
            yield (
                f"the lock no longer allows {state.active}, which serves: put it "
                "back, or promote another before this lock is deployed"
            )
        if state.active and active and active != state.active:
            word = state.stages.get(active)
            kept = f", where it is {word.value}" if word else ""
            yield f"the lock names {active} active, the ledger {state.active}{kept}"


_MOVING = (Stage.CANDIDATE, Stage.SHADOW, Stage.CANARY)


def _change(state: RouteState, pin: str, declared: str, *, known: bool) -> str:
    stage = state.stages.get(pin)
    if stage is Stage.QUARANTINED:
        return "quarantined"
    if not known:
        return "gone"
    if not state.rev:
        return "" if pin == declared else "new"
    if stage is None:
        return "new"
    return "wanted" if pin == declared != state.active else ""
