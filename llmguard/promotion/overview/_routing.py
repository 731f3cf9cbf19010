"""Routing: who serves, and which process lags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ... import config
from ...store import Experiment, RouteState, Store

__all__ = ["RoutingLine", "routing_lines", "routing_todo"]

_DAY: Final = 86_400.0
_TOLD: Final = ("echo.mismatch", "fingerprint.changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingLine:
    """One route with ledger entries or an experiment.

    Attributes:
        env: Environment.
        route: Name of the route.
        active: Id of the pin that serves; empty where the lock's does.
        canary: Id of the canary; empty without one.
        weight: Its share in basis points.
        experiment: Name of the experiment that runs; empty without one.
        shadows: Ids of the pins in shadow.
        rev: Revision that moved it last.
        behind: Live processes of that environment that have not applied it.
        stale: Live processes that cannot ask the store.
    """

    env: str
    route: str
    active: str
    canary: str
    weight: int
    experiment: str
    shadows: tuple[str, ...]
    rev: int
    behind: tuple[str, ...]
    stale: tuple[str, ...]


def routing_lines(
    store: Store, processes: Sequence[Mapping[str, Any]]
) -> list[RoutingLine]:
    """Return a line per route, of this environment and those that processes serve."""
    alive = [row for row in processes if row["alive"]]
    seen = {str(_routing(row).get("env") or "") for row in alive} - {""}
    found: list[RoutingLine] = []
    for env in sorted({config.load().env, *seen}):
        states = store.ledger.route_states(env)
        running = {one.route: one for one in store.experiments.latest(env)}
        running = {name: one for name, one in running.items() if one.running}
        mine = [row for row in alive if _routing(row).get("env") == env]
        for route in sorted({*states, *running}):
            state = states.get(route, RouteState(env=env, route=route))
            found.append(_line(state, running.get(route), mine))
    return found


def routing_todo(
    store: Store, processes: Sequence[Mapping[str, Any]], *, now: float
) -> Iterator[str]:
    """Yield what a person should look at, one sentence with one command each."""
    for row in processes:
        if not row["alive"]:
            continue
        routing = _routing(row)
        if routing.get("stale"):
            yield (
                f"{row['process']} cannot ask the store who serves "
                f"({routing.get('problem')}) and goes by revision "
                f"{routing.get('rev')}: `llmguard doctor` there"
            )
        for problem in sorted(_problems(row)):
            yield f"{row['process']}: {problem}"
    for kind in _TOLD:
        for event in store.events.list(kind=kind, since=now - _DAY):
            served = event.detail.get("served") or "no model"
            what = f"served {served!r}"
            if kind == "fingerprint.changed":
                what = f"shows fingerprint {event.detail.get('fingerprint')!r}"
            yield (
                f"{kind}: pin {event.pin} of route {event.route} {what}: "
                f"`llmguard which {event.route}` says since when"
            )


def _routing(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row["info"].get("routing") or {}
    return found


def _problems(row: Mapping[str, Any]) -> set[str]:
    functions: Mapping[str, Sequence[Mapping[str, Any]]]
    functions = row["info"].get("functions") or {}
    places = [place for tiers in functions.values() for place in tiers]
    return {text for place in places for text in place.get("problems") or ()}


def _line(
    state: RouteState,
    experiment: Experiment | None,
    processes: Sequence[Mapping[str, Any]],
) -> RoutingLine:
    canary, weight = state.canary or ("", 0)
    names = {str(row["process"]): _routing(row) for row in processes}
    return RoutingLine(
        env=state.env,
        route=state.route,
        active=state.active or "",
        canary=canary,
        weight=weight,
        experiment="" if experiment is None else experiment.name,
        shadows=state.shadows,
        rev=state.rev,
        behind=tuple(n for n, r in names.items() if int(r.get("rev") or 0) < state.rev),
        stale=tuple(name for name, routing in names.items() if routing.get("stale")),
    )
