"""Start and stop shadows for every process that shares a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import config
from ...clock import SYSTEM_CLOCK, Clock
from ...errors import ConfigError, LLMGuardError
from ...pins import load_lock
from ...store import Action, NewEntry, Stage
from ._exchange import new_row, tell
from ._shadows import run_key

if TYPE_CHECKING:
    from ...pins import Pin
    from ...store import RouteState, ShadowRun, Store
    from ._options import ShadowOptions

__all__ = ["find_runs", "start_shadow", "stop_shadow"]


def start_shadow(
    store: Store,
    route: str,
    pin: str,
    options: ShadowOptions,
    *,
    actor: str,
    reason: str = "",
    env: str = "",
    clock: Clock = SYSTEM_CLOCK,
) -> ShadowRun:
    """Move a pin to stage shadow, and have every process that serves its route know.

    Args:
        store: Where the ledger is.
        route: A route of `models.lock`.
        pin: Id of one of its pins.
        options: How it samples and what it may spend.
        actor: Who decided.
        reason: Why, one line.
        env: Environment; the configured one unless given.
        clock: Where the time comes from.

    Returns:
        The run that began.

    Raises:
        LockError: The lock has no such route or pin.
        ConfigError: The pin serves the route already, or runs in shadow already.
        LedgerError: The ledger does not take the move.
        StoreError: The store could not write.
    """
    env = env or config.load().env
    found = _allowed(route, pin)
    state = store.ledger.route_state(env, route)
    active = state.active or load_lock().routes[route].active
    if found.id == active:
        raise ConfigError(
            f"pin {found.id!r} serves route {route!r} of {env!r}: it cannot be its own "
            "challenger; `llmguard pin list` shows the others"
        )
    for run in find_runs(store, route, found.id, env=env):
        raise ConfigError(
            f"pin {found.id!r} runs in shadow on route {route!r} already ({run.id}): "
            f"`llmguard shadow stop {route}` first"
        )
    now = clock.time()
    row = new_row(
        run_key(env, route, found.id, repr(now)),
        env=env,
        subject=route,
        pin=found.id,
        origin="ledger",
        options=options,
        at=now,
        actor=actor,
    )
    store.shadow.start(row)
    try:
        _move(store, state, found.id, (actor, reason))
    except LLMGuardError:
        store.shadow.stop(row.id, reason="the ledger refused the move", actor=actor)
        raise
    tell(store, "shadow.started", row, actor=actor, reason=reason)
    return row


def stop_shadow(
    store: Store,
    subject: str,
    pin: str = "",
    *,
    actor: str,
    reason: str = "",
    env: str = "",
) -> Sequence[ShadowRun]:
    """End the shadows of a route, or of a function that has `@shadow`.

    The pin goes back to stage candidate; what was found stays.

    Args:
        store: Where the ledger is.
        subject: Route, function, or the id of a run.
        pin: Only that challenger.
        actor: Who decided.
        reason: Why, one line.
        env: Environment; the configured one unless given.

    Returns:
        The runs that were running.

    Raises:
        ConfigError: None is running there.
        LedgerError: The ledger does not take the move.
    """
    env = env or config.load().env
    runs = find_runs(store, subject, pin, env=env)
    state = store.ledger.route_state(env, subject)
    waiting = [one for one in state.shadows if pin in {"", one}]
    if not runs and not waiting:
        raise ConfigError(
            f"nothing runs in shadow on {subject!r} in {env!r}; "
            "`llmguard shadow status` lists what does"
        )
    why = reason or f"{actor} stopped it"
    for run in runs:
        if store.shadow.stop(run.id, reason=why, actor=actor):
            tell(store, "shadow.stopped", run, actor=actor, reason=why)
    routes = {subject, *(run.subject for run in runs if run.origin == "ledger")}
    for route in sorted(routes):
        state = store.ledger.route_state(env, route)
        wanted = {run.pin for run in runs if run.subject == route} | set(waiting)
        for one in [each for each in state.shadows if each in wanted]:
            state = _step(store, state, one, Action.CANDIDATE, (actor, why))
    return runs


def find_runs(
    store: Store, subject: str, pin: str = "", *, env: str = "", running: bool = True
) -> Sequence[ShadowRun]:
    """Return the runs of a route or function, or the one of an id, newest first."""
    found = store.shadow.runs(env=env or None, running=running)
    return [
        run
        for run in found
        if subject in {run.subject, run.id} and pin in {"", run.pin}
    ]


def _allowed(route: str, pin: str) -> Pin:
    pins = {each.id: each for each in load_lock().allowed(route)}
    if pin in pins:
        return pins[pin]
    known = ", ".join(pins)
    raise ConfigError(
        f"`models.lock` allows no pin {pin!r} on route {route!r} (it has {known}); add "
        f"it: `llmguard pin add {route} --provider PROVIDER --model MODEL`"
    )


def _move(store: Store, state: RouteState, pin: str, by: tuple[str, str]) -> None:
    """Bring a pin to stage shadow, through candidate where it is new."""
    stage = state.stages.get(pin)
    if stage is Stage.SHADOW:
        return
    if stage in {None, Stage.RETIRED}:
        state = _step(store, state, pin, Action.CANDIDATE, by)
    _step(store, state, pin, Action.SHADOW, by)


def _step(
    store: Store, state: RouteState, pin: str, action: Action, by: tuple[str, str]
) -> RouteState:
    """Append a move, by an actor and for a reason; returns the state after it."""
    store.ledger.append(
        NewEntry(
            env=state.env,
            route=state.route,
            pin=pin,
            action=action,
            base_rev=state.rev,
            actor=by[0],
            reason=by[1] or "shadow",
            lock_digest=load_lock().digest,
        )
    )
    return store.ledger.route_state(state.env, state.route)
