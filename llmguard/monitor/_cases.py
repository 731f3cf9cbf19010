"""One version under suspicion, with everything that a verdict on it needs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from .._dataclass import dataclass
from ..breaker import State
from ..guard import Guard
from ..store import Action, RouteState, Store
from ._sites import guard_named, pin_named

if TYPE_CHECKING:
    from ..pins import Pin
    from ._sites import Site

__all__ = ["TOGETHER", "Case", "case_of"]

TOGETHER: Final = 600.0
"""Two versions that trip within ten minutes point to inputs or to the contract."""
_BREAKER: Final = "breaker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A version, and the one that could take its place.

    Attributes:
        site: Where it answers.
        guard: The function.
        store: What the processes share.
        state: The route as it was when the case was opened.
        pin: The version.
        older: The one that would serve without it.
    """

    site: Site
    guard: Guard
    store: Store
    state: RouteState
    pin: Pin
    older: Pin

    def lease(self, what: str, *, hold: float) -> bool:
        """Take a kind of answer to this case for one process, for `hold` seconds."""
        site = self.site
        key = f"{what}/{self.state.env}/{site.route}/{site.function}/{site.pin}"
        return self.store.counts.lease(key, hold=hold)

    def frozen(self) -> str:
        """Return why nothing may be rolled back now; empty when it may."""
        now = time.time()
        for row in self.store.list_breakers():
            function, _, pin = row.key.rpartition("|")
            if (
                row.state == State.QUARANTINED
                and row.actor == _BREAKER
                and now - row.since < TOGETHER
                and function == self.site.function
                and pin != self.site.pin
            ):
                return (
                    f"{pin} was quarantined within ten minutes too: the inputs or the "
                    "contract are suspect, and a person decides"
                )
        return ""

    def accepted(self) -> bool:
        """Tell whether it was promoted on evidence, so that it may answer anew."""
        entries = self.store.ledger.entries(
            env=self.state.env, route=self.state.route, newest_first=True
        )
        for entry in entries:
            if entry.pin == self.pin.id and entry.action in _UPWARD:
                forced = entry.reason.startswith("forced past")
                return bool(entry.evidence) and not forced
        return False


_UPWARD: Final = frozenset({Action.PROMOTE, Action.CANARY})


def case_of(site: Site, *, store: Store | None, env: str) -> Case | str:
    """Return everything that a verdict on a version needs, or why there can be none."""
    guard = guard_named(site.function)
    if guard is None or store is None:
        return "the function or the store is not in this process"
    if not site.route:
        return f"`{site.function}` names no route of `models.lock`"
    if guard.idempotent is False:
        return "the body does harm when it runs twice, so nobody may ask again"
    state = store.ledger.route_state(env, site.route)
    older = ""
    if state.canary and site.pin == state.canary[0]:
        older = state.active or ""
    elif site.pin == state.active:
        older = next(iter(state.previous_active), "")
    pin, before = pin_named(guard, site.pin), pin_named(guard, older)
    if pin is None or before is None:
        return f"route {site.route!r} knows no version before {site.pin} to go back to"
    return Case(site=site, guard=guard, store=store, state=state, pin=pin, older=before)
