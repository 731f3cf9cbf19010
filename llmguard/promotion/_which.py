"""What ran at a time: declared by the ledger, applied by processes, served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ..clock import SYSTEM_CLOCK
from ..errors import LockError
from ..pins import Lock, load_lock
from ..store import Action, Entry, RouteState, Stage, Store
from ._asking import environment
from .applied import Process, applied_now
from .request import percent

__all__ = ["Served", "Which", "which"]

_RECENT: Final = 300.0
_FIRST_LOOK: Final = 64
_WIDER: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What one version answered in a span of time.

    Attributes:
        pin: Its id.
        function: Which function asked.
        n: Its answers.
    """

    pin: str
    function: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The answer to "which version ran?".

    Attributes:
        env: Environment.
        route: Route.
        at: Epoch seconds that is asked about.
        now: True when that is the present.
        pin: The declared pin; empty when nobody declared one.
        source: `ledger`, `models.lock`, or empty.
        model: Its model; empty when the lock has lost the pin.
        owner: Who decides about it.
        rev: Revision that decided; 0 for the lock.
        since: Epoch seconds of that entry; None for the lock.
        actor: Who made it so.
        reason: Why.
        canary: Id and basis points, or None.
        shadows: Ids of the pins in shadow.
        quarantined: Ids of the quarantined pins.
        applied: Live processes, and the revision that each goes by.
        served: What really answered, by pin, the most first.
        gaps: What is not known, one sentence each.
    """

    env: str
    route: str
    at: float
    now: bool
    pin: str
    source: str
    model: str = ""
    owner: str = ""
    rev: int = 0
    since: float | None = None
    actor: str = ""
    reason: str = ""
    canary: tuple[str, int] | None = None
    shadows: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    applied: tuple[Process, ...] = ()
    served: tuple[Served, ...] = ()
    gaps: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The answer in one line."""
        if not self.pin:
            return "nothing was declared"
        canary = ""
        if self.canary:
            canary = f", {percent(self.canary[1])} of the calls {self.canary[0]}"
        return f"{self.pin} ({self.model or 'gone from the lock'}){canary}"


def which(
    *,
    store: Store,
    route: str,
    env: str | None = None,
    at: float | None = None,
    lock: Lock | None = None,
    now: float | None = None,
) -> Which:
    """Say which version a route ran, now or at a time, and what is not known.

    Args:
        store: The store of the environment.
        route: Route.
        env: Environment; the one of this process by default.
        at: Epoch seconds; None for now.
        lock: What may run, for models' names; by default the configured lock, and none
            when that cannot be read.
        now: Epoch seconds; by default the present.
    """
    now = SYSTEM_CLOCK.time() if now is None else now
    asked = _Asked(store, environment(env), route, _lock(lock))
    state = store.ledger.route_state(asked.env, route, at=at)
    pin, source = _declared(asked, state, present=at is None)
    row = _decided(asked, state, pin, at)
    one = asked.lock.pins.get(pin) if asked.lock else None
    found = Which(
        env=asked.env,
        route=route,
        at=now if at is None else at,
        now=at is None,
        pin=pin,
        source=source,
        model=one.model if one else "",
        owner=one.owner if one else "",
        rev=row.rev if row else 0,
        since=row.at if row else None,
        actor=row.actor if row else "",
        reason=row.reason if row else "",
        canary=state.canary,
        shadows=state.shadows,
        quarantined=tuple(
            pin for pin, stage in state.stages.items() if stage is Stage.QUARANTINED
        ),
    )
    if at is None:
        pins = frozenset({*_allowed(asked), *state.stages})
        found = replace(
            found,
            applied=applied_now(store, env=asked.env, now=now),
            served=_served(asked, pins=pins, since=now - _RECENT),
        )
    return replace(found, gaps=tuple(_gaps(found, state, asked)))


@dataclass(frozen=True, slots=True)
class _Asked:
    store: Store
    env: str
    route: str
    lock: Lock | None


def _lock(given: Lock | None) -> Lock | None:
    if given is not None:
        return given
    try:
        return load_lock()
    except LockError:
        return None


def _allowed(asked: _Asked) -> tuple[str, ...]:
    route = asked.lock.routes.get(asked.route) if asked.lock else None
    return route.allowed if route else ()


def _declared(asked: _Asked, state: RouteState, *, present: bool) -> tuple[str, str]:
    if state.active:
        return state.active, "ledger"
    route = asked.lock.routes.get(asked.route) if asked.lock else None
    if route is None or not present:
        return "", ""
    return route.active, "models.lock"


def _decided(
    asked: _Asked, state: RouteState, pin: str, at: float | None
) -> Entry | None:
    """Return the entry that made the pin active; usually one of the newest."""
    made = (Action.PROMOTE, Action.ROLLBACK)
    limit = _FIRST_LOOK
    while state.active:
        rows = asked.store.ledger.entries(
            env=asked.env,
            route=asked.route,
            until=at,
            limit=limit,
            newest_first=True,
        )
        for row in rows:
            if row.pin == pin and row.action in made:
                return row
        if len(rows) < limit:
            return None
        limit *= _WIDER
    return None


def _served(asked: _Asked, *, pins: frozenset[str], since: float) -> tuple[Served, ...]:
    """Return what versions of the route answered lately, by the counts."""
    rows = asked.store.counts.sums(asked.env, since=since)
    found = [
        Served(pin=row.pin, function=row.function, n=row.n)
        for row in rows
        if row.measure == "answer" and row.pin in pins
    ]
    return tuple(sorted(found, key=lambda one: (-one.n, one.pin, one.function)))


def _gaps(found: Which, state: RouteState, asked: _Asked) -> Iterator[str]:
    if not found.pin:
        yield _undeclared(asked)
    if found.now:
        yield from _not_applied(found, state)
        yield from _not_served(found, state)


def _undeclared(asked: _Asked) -> str:
    first = asked.store.ledger.entries(env=asked.env, route=asked.route, limit=1)
    if first:
        return (
            f"the ledger knows the route since {_iso(first[0].at)} only; before that "
            "`models.lock` alone decided: see its history in git"
        )
    return (
        f"environment {asked.env!r} has no entry of route {asked.route!r}; what the "
        "lock said at that time is git's to tell"
    )


def _not_applied(found: Which, state: RouteState) -> Iterator[str]:
    if not found.applied:
        yield "applied: no process of this environment is running"
    silent = [one.name for one in found.applied if one.rev is None]
    if silent:
        yield f"applied: {', '.join(silent)} do not say which revision they go by"
    for one in found.applied:
        if one.stale:
            yield f"applied: {one.name} cannot reach the store ({one.problem})"
        elif one.rev is not None and one.behind(state.rev):
            yield f"applied: {one.name} is at r{one.rev}, the route at r{state.rev}"


def _not_served(found: Which, state: RouteState) -> Iterator[str]:
    if not found.served:
        yield f"served: no answer was counted in the last {_RECENT / 60:g} minutes"
    strange = {one.pin for one in found.served} - {found.pin, *_trying(state)}
    if strange:
        yield f"served: {', '.join(sorted(strange))} answered, which is not declared"


def _trying(state: RouteState) -> tuple[str, ...]:
    return (*((state.canary[0],) if state.canary else ()), *state.shadows)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
