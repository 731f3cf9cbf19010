"""From what a person wrote to a request: defaults, the pin, the route's state."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from .. import config
from .._login import login
from ..clock import SYSTEM_CLOCK
from ..errors import ConfigError
from ..pins import Lock, Pin, load_lock
from ..store import MAX_WEIGHT, RouteState, Store
from .problems import PromotionError
from .request import Request
from .settings import rules_for
from .types import PERSON_ONLY, TARGETS

__all__ = ["check_person", "default_actor", "environment", "make_request", "pin_in"]


def environment(env: str | None) -> str:
    """Return the environment that is meant: the one of this process by default."""
    return config.load().env if env is None else env


def default_actor() -> str:
    """Return who is asking: `LLMGUARD_ACTOR`, git's `user.email`, or the login."""
    if named := os.environ.get("LLMGUARD_ACTOR", "").strip():
        return named
    try:
        done = subprocess.run(
            ["git", "config", "user.email"],  # noqa: S607 - the git on the path
            capture_output=True,
            check=False,
            text=True,
        )
        if done.stdout.strip():
            return done.stdout.strip()
    except OSError:
        pass
    return login()


def check_person(actor: str) -> None:
    """Refuse the library's own name, and nobody.

    Raises:
        ConfigError: That is no person.
    """
    if not actor.strip() or actor == PERSON_ONLY:
        raise ConfigError(
            f"`actor` is {actor!r}, which is no person; say who decides: "
            "`LLMGUARD_ACTOR=ann@example.com`"
        )


def pin_in(lock: Lock, route: str, pin: str) -> Pin:
    """Return a pin that the lock allows on a route.

    Raises:
        PromotionError: It does not.
    """
    allowed = lock.routes.get(route)
    if allowed is None or pin not in allowed.allowed:
        known = ", ".join(allowed.allowed) if allowed else "none, the route is unknown"
        raise PromotionError(
            f"`models.lock` does not allow pin {pin!r} on route {route!r} (allowed: "
            f"{known}); add it and have it reviewed: `llmguard pin add {route} "
            "--provider ... --model ...`"
        )
    return lock.pins[pin]


def make_request(
    *,
    store: Store,
    env: str,
    route: str,
    pin: str,
    to: str,
    weight: int | None = None,
    lock: Lock | None = None,
    state: RouteState | None = None,
    actor: str = "",
    now: float | None = None,
    root: Path | None = None,
) -> Request:
    """Return the request for one move.

    Raises:
        ConfigError: The target or the weight cannot be.
        PromotionError: The lock does not allow the pin.
    """
    _check_target(to, weight)
    lock = load_lock() if lock is None else lock
    one = pin_in(lock, route, pin)
    state = store.ledger.route_state(env, route) if state is None else state
    serves = state.active or lock.routes[route].active
    return Request(
        store=store,
        env=env,
        route=route,
        pin=one,
        to=to,
        weight=weight,
        state=state,
        incumbent=lock.pins.get(serves),
        lock=lock,
        rules=rules_for(env, route, to),
        actor=actor or default_actor(),
        now=SYSTEM_CLOCK.time() if now is None else now,
        root=config.load().root if root is None else root,
    )


def _check_target(to: str, weight: int | None) -> None:
    if to not in (*TARGETS, "resume"):
        raise ConfigError(f"`to` is {to!r}; use one of {', '.join(TARGETS)}")
    if to == "canary" and (weight is None or not 0 <= weight <= MAX_WEIGHT):
        raise ConfigError(
            f"weight {weight!r} of a canary; give its share of the calls in basis "
            f"points, 0 to {MAX_WEIGHT}: `--weight 5%` is 500"
        )
    if to != "canary" and weight is not None:
        raise ConfigError(f"weight {weight!r}: only a canary has one; leave it out")
