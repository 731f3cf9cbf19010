"""The promotion graph: which moves are legal, and what a route's entries amount to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from .ledger import Action, Entry, LedgerMoveError, NewEntry, RouteState, Stage

__all__ = ["Move", "fold", "judge", "legal_moves", "step"]

_NEW = None
_TARGETS: Mapping[Action, Stage] = {
    Action.CANDIDATE: Stage.CANDIDATE,
    Action.SHADOW: Stage.SHADOW,
    Action.CANARY: Stage.CANARY,
    Action.PROMOTE: Stage.ACTIVE,
    Action.ROLLBACK: Stage.ACTIVE,
    Action.QUARANTINE: Stage.QUARANTINED,
    Action.RESUME: Stage.CANDIDATE,
    Action.RETIRE: Stage.RETIRED,
}
_WAITING = (Stage.CANDIDATE, Stage.SHADOW, Stage.CANARY)
_SOURCES: Mapping[Action, tuple[Stage | None, ...]] = {
    Action.CANDIDATE: (_NEW, Stage.SHADOW, Stage.CANARY, Stage.RETIRED),
    Action.SHADOW: (Stage.CANDIDATE, Stage.CANARY),
    Action.CANARY: _WAITING,
    Action.PROMOTE: _WAITING,
    Action.QUARANTINE: (_NEW, *_WAITING, Stage.RETIRED),
    Action.RESUME: (Stage.QUARANTINED,),
    Action.RETIRE: _WAITING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What a legal move does.

    Attributes:
        from_stage: Where the pin is; None when the route does not know it.
        to_stage: Where it will be.
        prev_pin: The active pin that it takes the place of; else empty.
    """

    from_stage: Stage | None
    to_stage: Stage
    prev_pin: str


def legal_moves(state: RouteState, pin: str) -> tuple[Action, ...]:
    """Return what may be done with `pin` on a route in `state`."""
    return tuple(action for action in Action if _legal(state, pin, action))


def judge(state: RouteState, new: NewEntry) -> Move:
    """Return what a requested move would do.

    Raises:
        LedgerMoveError: The move is illegal; the message names the legal ones.
    """
    if not _legal(state, new.pin, new.action):
        raise _refusal(state, new)
    target = _TARGETS[new.action]
    return Move(
        from_stage=state.stages.get(new.pin),
        to_stage=target,
        prev_pin=(state.active or "") if target is Stage.ACTIVE else "",
    )


def step(state: RouteState, entry: Entry) -> RouteState:
    """Return the state after `entry`, which is the route's next one."""
    stages = {**state.stages, entry.pin: entry.to_stage}
    previous, active, canary = state.previous_active, state.active, state.canary
    if entry.to_stage is Stage.ACTIVE:
        previous = _previous(state, entry)
        active = entry.pin
        if entry.prev_pin:
            # Who rolls back says that the version was bad: it must not come back
            # before somebody resumes it.
            back = entry.action is Action.ROLLBACK
            stages[entry.prev_pin] = Stage.QUARANTINED if back else Stage.RETIRED
    if entry.to_stage is Stage.QUARANTINED:
        previous = tuple(pin for pin in previous if pin != entry.pin)
    if entry.to_stage is Stage.CANARY:
        canary = (entry.pin, entry.weight or 0)
    elif canary and canary[0] == entry.pin:
        canary = None
    return replace(
        state,
        rev=entry.rev,
        count=state.count + 1,
        active=active,
        canary=canary,
        stages=stages,
        previous_active=previous,
    )


def fold(state: RouteState, entries: Iterable[Entry]) -> RouteState:
    """Return `state` after all `entries` of its route, oldest first."""
    for entry in entries:
        state = step(state, entry)
    return state


def _previous(state: RouteState, entry: Entry) -> tuple[str, ...]:
    gone = {entry.pin, entry.prev_pin}
    rest = tuple(pin for pin in state.previous_active if pin not in gone)
    left = entry.prev_pin if entry.action is Action.PROMOTE else ""
    return (left, *rest) if left else rest


def _legal(state: RouteState, pin: str, action: Action) -> bool:
    stage = state.stages.get(pin)
    if action is Action.ROLLBACK:
        return state.previous_active[:1] == (pin,)
    if action is Action.PROMOTE and stage is _NEW:
        return state.active is None  # how a route's declared pin enters the ledger
    if action is Action.CANARY and state.canary and state.canary[0] != pin:
        return False
    return stage in _SOURCES[action]


def _refusal(state: RouteState, new: NewEntry) -> LedgerMoveError:
    legal = legal_moves(state, new.pin)
    stage = state.stages.get(new.pin)
    where = f"is {stage.value}" if stage else "has no entry yet"
    named = ", ".join(f"`{action}`" for action in legal) or "none"
    return LedgerMoveError(
        f"cannot {new.action.value} pin {new.pin!r} on route {new.route!r} of "
        f"{new.env!r}, where it {where}{_why(state, new)}; legal moves for it: {named}",
        legal=legal,
    )


def _why(state: RouteState, new: NewEntry) -> str:
    if new.action is Action.ROLLBACK:
        back = state.previous_active[:1]
        return (
            f": a rollback returns to {back[0]!r}, the last good active pin"
            if back
            else ": no earlier active pin is left to return to; promote another one"
        )
    if new.pin == state.active:
        return (
            ": a route always has one active pin; roll back (which quarantines this "
            "one) or promote another first"
        )
    if new.action is Action.CANARY and state.canary and state.canary[0] != new.pin:
        return f" and {state.canary[0]!r} is the canary; a route has one at a time"
    return ""
