"""Back to the last good version: one person, no gate, no approval, no lock needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ..clock import SYSTEM_CLOCK
from ..errors import LockError
from ..pins import Lock, load_lock
from ..store import (
    Action,
    Entry,
    LedgerConflictError,
    NewEntry,
    RouteState,
    Stage,
    Store,
    step,
)
from ._asking import default_actor, environment
from ._events import tell
from ._writing import ADOPTED
from .problems import RollbackError
from .types import PERSON_ONLY, Moved

__all__ = ["AUTOMATIC_EVERY", "quarantine", "rollback"]

AUTOMATIC_EVERY: Final = 3600.0
"""Seconds between two automatic rollbacks of a route: two would be a flapping."""

_ATTEMPTS: Final = 10


def rollback(
    *,
    store: Store,
    route: str,
    pin: str = "",
    env: str | None = None,
    actor: str = "",
    reason: str = "",
    lock: Lock | None = None,
    now: float | None = None,
) -> Moved:
    """Take a version out of the traffic, and quarantine it.

    A canary is taken out first: it is the newest change, and the active version stays.
    Without one the active version gives way to the last good one before it. A version
    that the lock has lost meanwhile cannot serve and is passed over.

    Args:
        store: The store that the processes share.
        route: Route.
        pin: The version to take out; empty for the canary, else the active one. When
            it serves no more, nothing is done.
        env: Environment; the one of this process by default.
        actor: Who decides; by default who is logged in. `llmguard` for the library's
            own decision, which it may take once an hour and route.
        reason: Why, one line.
        lock: What may run; by default the configured lock, and none when that cannot
            be read.
        now: Epoch seconds; by default the present.

    Raises:
        RollbackError: There is no good version to go back to, or the last automatic
            rollback was less than an hour ago.
        StoreError: The store cannot be written.
    """
    env, actor = environment(env), actor or default_actor()
    at = SYSTEM_CLOCK.time() if now is None else now
    lock = _readable_lock() if lock is None else lock
    last: LedgerConflictError | None = None
    for _ in range(_ATTEMPTS):
        going = _Going(
            store,
            lock,
            at=at,
            env=env,
            route=route,
            pin=pin,
            actor=actor,
            reason=reason,
        )
        try:
            return going.back()
        except LedgerConflictError as error:
            last = error  # somebody moved the route: look again at what serves
    raise RollbackError(
        f"route {route!r} of {env!r} changed {_ATTEMPTS} times in a row; run the "
        "command again"
    ) from last


def quarantine(
    *,
    store: Store,
    route: str,
    pin: str,
    env: str | None = None,
    actor: str = "",
    reason: str = "",
    lock: Lock | None = None,
    now: float | None = None,
) -> Moved:
    """Keep a version from the traffic until a person resumes it.

    The version that serves is rolled back, which quarantines it.

    Raises:
        RollbackError: It serves, and there is no good version to go back to.
        LedgerMoveError: It is quarantined already.
        StoreError: The store cannot be written.
    """
    env, actor = environment(env), actor or default_actor()
    lock = _readable_lock() if lock is None else lock
    at = SYSTEM_CLOCK.time() if now is None else now
    going = _Going(
        store, lock, at=at, env=env, route=route, pin=pin, actor=actor, reason=reason
    )
    if pin == going.state.active or (not going.state.rev and pin == going.declared):
        return rollback(
            store=store,
            route=route,
            pin=pin,
            env=env,
            actor=actor,
            reason=reason,
            lock=lock,
            now=now,
        )
    return going.take_out(pin)


class _Going:
    """One attempt, on the route as it was read once."""

    def __init__(
        self,
        store: Store,
        lock: Lock | None,
        *,
        at: float,
        env: str,
        route: str,
        pin: str,
        actor: str,
        reason: str,
    ) -> None:
        self.store, self.env, self.route, self.pin = store, env, route, pin
        self.actor, self.reason, self.lock, self.at = actor, reason, lock, at
        self.state: RouteState = store.ledger.route_state(env, route)
        self.entries: list[Entry] = []
        self.notes: list[str] = []

    @property
    def allowed(self) -> tuple[str, ...] | None:
        """What the lock allows; None when nobody can say."""
        if self.lock is None:
            return None
        route = self.lock.routes.get(self.route)
        return route.allowed if route else ()

    @property
    def declared(self) -> str:
        route = self.lock.routes.get(self.route) if self.lock else None
        return route.active if route else ""

    def back(self) -> Moved:
        canary = self.state.canary
        if canary and self.pin in ("", canary[0]):
            return self.take_out(canary[0])
        if self.pin and self.pin != (self.state.active or self.declared):
            return self.moved(self.pin, f"{self.pin} serves no calls of {self.route!r}")
        self.not_too_often()
        bad, good = self.state.active, self.good()
        if bad is None or good is None:
            raise RollbackError(self.nowhere())
        if canary:
            self.notes.append(f"{canary[0]} is still a canary")
        self.append(good, Action.ROLLBACK)
        self.told("rollback")
        return self.moved(bad, f"{good} serves again, {bad} is quarantined")

    def take_out(self, pin: str) -> Moved:
        was_canary = bool(self.state.canary and self.state.canary[0] == pin)
        if not self.state.rev and self.declared:
            self.append(self.declared, Action.PROMOTE, reason=ADOPTED)
        self.append(pin, Action.QUARANTINE)
        if was_canary:
            self.told("rollback", canary=True)
        else:
            self.told("quarantine")
        serves = self.state.active
        return self.moved(
            pin,
            f"the canary {pin} is quarantined, {serves} serves everything; if that one "
            f"is bad too, run it again: `llmguard rollback {self.route}`"
            if was_canary
            else f"{pin} is quarantined",
        )

    def good(self) -> str | None:
        """Return the version to go back to, passing over what cannot serve.

        Raises:
            LedgerConflictError: Somebody moved the route meanwhile.
        """
        allowed = self.allowed
        keep = [
            p for p in self.state.previous_active if allowed is None or p in allowed
        ]
        if not keep:
            return None
        if allowed is None:
            self.notes.append(
                "`models.lock` could not be read here: processes serve it only if "
                "theirs allows it"
            )
        while (first := self.state.previous_active[0]) != keep[0]:
            self.notes.append(f"{first} was passed over: models.lock has lost it")
            why = "models.lock has lost it, so it cannot serve"
            self.append(first, Action.QUARANTINE, reason=why)
        return keep[0]

    def not_too_often(self) -> None:
        if self.actor != PERSON_ONLY:
            return
        rows = self.store.ledger.entries(
            env=self.env, route=self.route, newest_first=True, limit=1_000
        )
        for row in rows:
            if row.at <= self.at - AUTOMATIC_EVERY:
                return
            if row.action is Action.ROLLBACK and row.actor == PERSON_ONLY:
                raise RollbackError(
                    f"route {self.route!r} of {self.env!r} was rolled back "
                    f"automatically at {_moment(row.at)}, less than an hour ago: a "
                    f"person decides now: `llmguard rollback {self.route}`"
                )

    def append(self, pin: str, action: Action, *, reason: str | None = None) -> None:
        entry = self.store.ledger.append(
            NewEntry(
                env=self.env,
                route=self.route,
                pin=pin,
                action=action,
                base_rev=self.state.rev,
                actor=self.actor,
                reason=self.reason if reason is None else reason,
                lock_digest=self.lock.digest if self.lock else "",
            )
        )
        self.entries.append(entry)
        self.state = step(self.state, entry)

    def told(self, what: str, *, canary: bool = False) -> None:
        entry = self.entries[-1]
        how = "automatic" if self.actor == PERSON_ONLY else "manual"
        tell(
            self.store,
            f"{what}.{how}",
            env=self.env,
            route=self.route,
            pin=entry.prev_pin or entry.pin,
            detail={
                "rev": entry.rev,
                "actor": self.actor,
                "reason": self.reason,
                "canary": canary,
                "serves": self.state.active or "",
            },
        )

    def nowhere(self) -> str:
        serves = self.state.active or self.declared
        if not serves:
            return (
                f"route {self.route!r} of {self.env!r} has no entry in this store and "
                f"no pin in the lock; known here: {self.known()}"
            )
        owner = self.owner(serves)
        others = [p for p in self.others() if p != serves]
        promote = f"; or another: `llmguard promote {others[0]}`" if others else ""
        return (
            f"route {self.route!r} of {self.env!r} has no earlier good version to go "
            f"back to: {serves}{owner} is the first that it knows, or the others were "
            "quarantined. To stop it now and have its fallbacks answer: `llmguard "
            f"breaker open {serves}`" + promote
        )

    def others(self) -> Sequence[str]:
        stages = self.state.stages
        allowed = self.allowed or ()
        return [p for p in allowed if stages.get(p) is not Stage.QUARANTINED]

    def owner(self, pin: str) -> str:
        one = self.lock.pins.get(pin) if self.lock else None
        return f" (owner: {one.owner})" if one and one.owner else ""

    def known(self) -> str:
        routes = {*self.store.ledger.route_states(self.env)}
        routes |= set(self.lock.routes) if self.lock else set()
        return ", ".join(sorted(routes)) or "no route"

    def moved(self, pin: str, note: str) -> Moved:
        return Moved(
            env=self.env,
            route=self.route,
            pin=pin,
            serves=self.state.active or self.declared,
            rev=self.state.rev,
            entries=tuple(self.entries),
            notes=(note, *self.notes),
        )


def _readable_lock() -> Lock | None:
    try:
        return load_lock()
    except LockError:
        return None


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
