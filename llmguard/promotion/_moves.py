"""Moving pins: towards traffic through gates, out of it without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..pins import Lock
from ..store import (
    Action,
    Entry,
    LedgerConflictError,
    Stage,
    Store,
    step,
)
from ._asking import check_person, environment, make_request
from ._events import tell
from ._writing import ADOPTED, adopt, approved, climb, declared, evidence_of, write
from .gates import ask, describe
from .problems import GatesNotPassedError, PromotionError, QuarantinedError
from .request import Request
from .types import GateResult, Moved

__all__ = ["promote", "resume"]

_STAGES: Final = {
    "shadow": Stage.SHADOW,
    "canary": Stage.CANARY,
    "active": Stage.ACTIVE,
}


def promote(
    *,
    store: Store,
    route: str,
    pin: str,
    to: str = "active",
    weight: int | None = None,
    env: str | None = None,
    actor: str = "",
    reason: str = "",
    force: str = "",
    base_rev: int | None = None,
    lock: Lock | None = None,
    now: float | None = None,
) -> Moved:
    """Move a pin to a stage of a route, if every gate passes.

    The first move of a route first records which pin the lock made active.

    Args:
        store: The store that the processes share.
        route: Route.
        pin: Id of a pin that the lock allows on it.
        to: `shadow`, `canary` or `active`.
        weight: Basis points of the traffic; canaries only.
        env: Environment; the one of this process by default.
        actor: Who decides; by default who is logged in (see `default_actor`).
        reason: Why, one line.
        force: Why gates that do not pass are gone past; empty to obey them. The gates
            of the target say which may be.
        base_rev: Revision of the route that the decision rests on; None for the
            present one.
        lock: What may run; the configured lock by default.
        now: Epoch seconds; by default the present.

    Raises:
        GatesNotPassedError: A gate failed or is unknown; `gates` says which and why.
        QuarantinedError: The pin is quarantined.
        LedgerConflictError: Somebody moved the route meanwhile; nothing was promoted.
        LedgerMoveError: The promotion graph has no such move.
        PromotionError: The lock does not allow the pin.
        ConfigError: A wrong target, weight, actor or setting.
    """
    asked = make_request(
        store=store,
        env=environment(env),
        route=route,
        pin=pin,
        to=to,
        weight=weight,
        lock=lock,
        actor=actor,
        now=now,
    )
    check_person(asked.actor)
    _check_base(asked, base_rev)
    _refuse_quarantined(asked)
    if moved := _no_change(asked):
        return moved
    if not asked.state.rev and to == "active" and pin == declared(asked):
        # It serves already, by the lock: writing that down changes nothing.
        note = f"{pin} serves already, by the lock; it was {ADOPTED}"
        return _moved(asked, [adopt(asked)], (), (note,))
    gates = _decide(asked, force)
    entries = climb(asked, gates, _reason(reason, force, gates))
    notes = _after(asked, entries)
    for each in entries[-1:]:
        kind = "promoted" if to == "active" else to
        tell(
            store,
            f"promotion.{kind}",
            env=asked.env,
            route=route,
            pin=pin,
            detail={"rev": each.rev, "actor": asked.actor, "weight": weight},
        )
    return _moved(asked, entries, gates, notes)


def resume(
    *,
    store: Store,
    route: str,
    pin: str,
    reason: str,
    env: str | None = None,
    actor: str = "",
    base_rev: int | None = None,
    lock: Lock | None = None,
    now: float | None = None,
) -> Moved:
    """Lift a quarantine: the pin is a candidate again, and passes every gate anew.

    It asks for the approvals that promotion to active asks for, unless
    `[tool.llmguard.gates.resume]` says otherwise.

    Raises:
        GatesNotPassedError: Approvals are missing.
        PromotionError: There is no reason, or the pin is not quarantined.
        LedgerConflictError: Somebody moved the route meanwhile.
        ConfigError: A wrong actor or setting, or the lock cannot be read.
    """
    asked = make_request(
        store=store,
        env=environment(env),
        route=route,
        pin=pin,
        to="resume",
        lock=lock,
        actor=actor,
        now=now,
    )
    check_person(asked.actor)
    _check_base(asked, base_rev)
    if asked.stage is not Stage.QUARANTINED:
        where = asked.stage.value if asked.stage else "not in the ledger"
        raise PromotionError(
            f"pin {pin!r} of route {route!r} is not quarantined in {asked.env!r}, it "
            f"is {where}; nothing to lift"
        )
    if not reason.strip():
        raise PromotionError(
            f"say why {pin!r} may come back: `{asked.command} --reason TEXT`"
        )
    gates = _decide(asked, "")
    entry = write(
        asked,
        Action.RESUME,
        base_rev=asked.state.rev,
        reason=reason,
        gates=gates,
        approvals=approved(replace(asked, evidence=evidence_of(gates))),
    )
    detail = {"rev": entry.rev, "actor": asked.actor, "reason": reason}
    tell(
        store,
        "quarantine.lifted",
        env=asked.env,
        route=route,
        pin=pin,
        detail=detail,
    )
    return _moved(asked, [entry], gates, _breaker_note(asked))


def _check_base(request: Request, base_rev: int | None) -> None:
    state = request.state
    if base_rev is None or base_rev == state.rev:
        return
    raise LedgerConflictError(
        f"route {request.route!r} of {request.env!r} is at revision {state.rev}, the "
        f"decision rests on {base_rev}; look again: `llmguard history {request.route}"
        f"{request.env_option}`",
        rev=state.rev,
        last=None,
    )


def _refuse_quarantined(request: Request) -> None:
    if request.stage is not Stage.QUARANTINED:
        return
    pin = request.pin
    rows = request.store.ledger.entries(
        env=request.env, route=request.route, newest_first=True
    )
    row = next((r for r in rows if pin.id in (r.pin, r.prev_pin)), None)
    told = f" by {row.actor} ({row.reason or 'no reason given'})" if row else ""
    owner = f"; its owner is {pin.owner}" if pin.owner else ""
    raise QuarantinedError(
        f"pin {pin.id!r} of route {request.route!r} is quarantined in "
        f"{request.env!r}{told}{owner}: no force lifts that; `llmguard resume {pin.id}"
        f"{request.env_option} --reason TEXT`, then promote it again"
    )


def _no_change(request: Request) -> Moved | None:
    if request.stage is not _STAGES[request.to]:
        return None
    canary = request.state.canary
    if canary and request.to == "canary" and canary[1] != request.weight:
        return None
    return _moved(request, [], (), (f"{request.pin.id} is {request.stage} already",))


def _decide(request: Request, force: str) -> tuple[GateResult, ...]:
    """Ask the gates and obey them, but for those that may be and were forced."""
    gates = ask(request)
    if force.strip():
        gates = tuple(_forced(one, request) for one in gates)
    blocking = [one for one in gates if one.blocks]
    if not blocking:
        return gates
    names = ", ".join(one.gate for one in blocking)
    hint = ""
    if force.strip():
        may = ", ".join(sorted(request.rules.force)) or "none"
        hint = f"\n`--force` may go past these here: {may}"
    owner = f" (owner: {request.pin.owner})" if request.pin.owner else ""
    what = f"{request.pin.id}{owner} may not become {request.to}"
    if request.to == "resume":
        what = f"{request.pin.id}{owner} may not be resumed"
    raise GatesNotPassedError(
        f"{what} on route {request.route!r} of {request.env!r}: {names} did not pass\n"
        f"{describe(gates)}{hint}",
        gates=gates,
    )


def _forced(one: GateResult, request: Request) -> GateResult:
    name = one.gate.partition(":")[0]
    if one.blocks and name in request.rules.force:
        return replace(one, forced=True)
    return one


def _reason(reason: str, force: str, gates: tuple[GateResult, ...]) -> str:
    past = ", ".join(one.gate for one in gates if one.forced)
    if not past:
        return reason or force
    more = f"; {reason}" if reason and reason != force else ""
    return f"forced past {past}: {force}{more}"


def _after(request: Request, entries: Sequence[Entry]) -> tuple[str, ...]:
    notes: list[str] = []
    if request.state.rev == 0 and entries:
        notes.append(f"{entries[0].pin} was {ADOPTED} as the version that serves")
    last = entries[-1]
    if request.to == "active" and last.prev_pin:
        notes.append(
            f"back to {last.prev_pin} in a second: `llmguard rollback {request.route}"
            f"{request.env_option}`"
        )
    if request.to == "canary":
        notes.append(
            f"stop it: `llmguard rollback {request.route}{request.env_option}`"
        )
    return tuple(notes)


def _breaker_note(request: Request) -> tuple[str, ...]:
    rows = request.store.list_breakers()
    keys = [
        row.key
        for row in rows
        if row.key.endswith(f"|{request.pin.id}") and row.state == "quarantined"
    ]
    return tuple(
        f"its breaker is quarantined too: `llmguard breaker resume '{key}'`"
        for key in keys
    )


def _moved(
    request: Request,
    entries: Sequence[Entry],
    gates: tuple[GateResult, ...],
    notes: tuple[str, ...],
) -> Moved:
    state = request.state
    for entry in entries:
        state = step(state, entry)
    return Moved(
        env=request.env,
        route=request.route,
        pin=request.pin.id,
        serves=state.active or declared(request),
        rev=state.rev,
        entries=tuple(entries),
        gates=gates,
        notes=notes,
    )
