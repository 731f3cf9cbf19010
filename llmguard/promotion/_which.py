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
from ..store.traffic import BUCKET, ServedRow
from ._asking import environment
from .applied import Process, applied_now
from .request import percent

__all__ = ["Served", "Which", "which"]

_SILENT: Final = 120.0
"""Seconds after which a process that said nothing more is taken for gone."""
_FIRST_LOOK: Final = 8
_WIDER: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Answers of one pin that said they came from the same model.

    Attributes:
        pin: Id of the pin that was asked.
        model: Model that the provider echoed; empty when it gave none.
        fingerprint: System fingerprint; empty when it gave none.
        verdict: `match`, `mismatch`, or `unavailable`: an echo that says nothing.
        n: Answers.
        processes: How many processes had them.
        last_at: Epoch seconds of the last one.
    """

    pin: str
    model: str
    fingerprint: str
    verdict: str
    n: int
    processes: int
    last_at: float


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
        applied: Processes that ran, and the revision that each went by.
        served: What really answered in those five minutes, the most first.
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
    found = replace(
        found,
        applied=_applied(asked, at, now),
        served=_served(asked, now if at is None else at, recent=at is None),
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


def _applied(asked: _Asked, at: float | None, now: float) -> tuple[Process, ...]:
    if at is None:
        return applied_now(asked.store, env=asked.env, now=now)
    rows = asked.store.traffic.applied(asked.env, at=at)
    return tuple(
        Process(
            name=row.process,
            at=row.last_at,
            env=row.env,
            rev=row.rev,
            stale=row.stale,
        )
        for row in rows
        if row.last_at >= at - _SILENT
    )


def _served(asked: _Asked, at: float, *, recent: bool) -> tuple[Served, ...]:
    """Return what providers echoed; for now, in the last five to ten minutes."""
    rows = [*asked.store.traffic.served(asked.env, asked.route, at=at)]
    if recent:
        rows += asked.store.traffic.served(asked.env, asked.route, at=at - BUCKET)
    groups: dict[tuple[str, str, str, str], list[ServedRow]] = {}
    for row in rows:
        key = (row.pin, row.model, row.fingerprint, row.verdict)
        groups.setdefault(key, []).append(row)
    found = [
        Served(
            pin=key[0],
            model=key[1],
            fingerprint=key[2],
            verdict=key[3],
            n=sum(row.n for row in mine),
            processes=len({row.process for row in mine}),
            last_at=max(row.last_at for row in mine),
        )
        for key, mine in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.n, one.pin, one.model)))


def _gaps(found: Which, state: RouteState, asked: _Asked) -> Iterator[str]:
    if not found.pin:
        yield _undeclared(asked)
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
        word = "is running" if found.now else "told of itself then"
        yield f"applied: no process of this environment {word}"
    silent = [one.name for one in found.applied if one.rev is None]
    if silent:
        yield f"applied: {', '.join(silent)} do not say which revision they go by"
    for one in found.applied:
        if one.stale:
            why = f" ({one.problem})" if one.problem else ""
            yield f"applied: {one.name} could not reach the store{why}"
        elif one.rev is not None and one.behind(state.rev):
            yield f"applied: {one.name} was at r{one.rev}, the route at r{state.rev}"


def _not_served(found: Which, state: RouteState) -> Iterator[str]:
    if not found.served:
        yield "served: no answer of this route was recorded in those minutes"
    for one in found.served:
        if one.verdict == "mismatch":
            yield f"served: {one.n} answers of {one.pin} came from {one.model!r}"
        elif one.verdict == "unavailable":
            yield f"served: {one.n} answers of {one.pin} do not say which model it was"
    declared = {found.pin, *_trying(state)}
    strange = sorted({one.pin for one in found.served} - declared)
    if strange:
        yield (
            f"served: {', '.join(strange)} answered, which was not declared; within a "
            "second of a change that is the version before"
        )


def _trying(state: RouteState) -> tuple[str, ...]:
    return (*((state.canary[0],) if state.canary else ()), *state.shadows)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
