"""Writing moves into the ledger: adoption, the steps to a target, what they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ..store import Action, Entry, NewEntry, RouteState, Stage, step
from ._approvals import judge
from ._asking import default_actor
from .request import Request
from .types import GateResult

__all__ = [
    "ADOPTED",
    "adopt",
    "approved",
    "climb",
    "declared",
    "evidence_of",
    "write",
]

ADOPTED: Final = "adopted from models.lock"

_ACTIONS: Final = {
    "shadow": Action.SHADOW,
    "canary": Action.CANARY,
    "active": Action.PROMOTE,
}


def adopt(request: Request) -> Entry:
    """Record the lock's active pin as the one that serves: a route's first entry."""
    active = request.lock.routes[request.route].active
    return request.store.ledger.append(
        NewEntry(
            env=request.env,
            route=request.route,
            pin=active,
            action=Action.PROMOTE,
            base_rev=0,
            actor=request.actor or default_actor(),
            reason=ADOPTED,
            lock_digest=request.lock.digest,
        )
    )


def write(
    request: Request,
    action: Action,
    *,
    base_rev: int,
    reason: str,
    weight: int | None = None,
    gates: Sequence[GateResult] = (),
    approvals: tuple[dict[str, object], ...] = (),
) -> Entry:
    """Append one move of the request's pin."""
    return request.store.ledger.append(
        NewEntry(
            env=request.env,
            route=request.route,
            pin=request.pin.id,
            action=action,
            base_rev=base_rev,
            actor=request.actor,
            weight=weight,
            reason=reason,
            lock_digest=request.lock.digest,
            evidence=tuple(sorted({d for one in gates for d in one.evidence})),
            approvals=approvals,
        )
    )


def climb(request: Request, gates: tuple[GateResult, ...], reason: str) -> list[Entry]:
    """Append the steps from where the pin is to the target; the last one counts."""
    approvals = approved(replace(request, evidence=evidence_of(gates)))
    entries: list[Entry] = []
    state = request.state
    if state.rev == 0:
        state = _step(state, adopt(request), entries)
    if state.stages.get(request.pin.id) in (None, Stage.RETIRED):
        entry = write(request, Action.CANDIDATE, base_rev=state.rev, reason=reason)
        state = _step(state, entry, entries)
    last = write(
        request,
        _ACTIONS[request.to],
        base_rev=state.rev,
        reason=reason,
        weight=request.weight,
        gates=gates,
        approvals=approvals,
    )
    _step(state, last, entries)
    return entries


def _step(state: RouteState, entry: Entry, entries: list[Entry]) -> RouteState:
    entries.append(entry)
    return step(state, entry)


def approved(request: Request) -> tuple[dict[str, object], ...]:
    """Return the approvals that count, as the ledger keeps them."""
    rule = request.rules.approvals
    if rule is None or not (request.root / rule.signers).is_file():
        return ()
    return tuple(
        {"approval": dict(one.body), "signature": one.signature}
        for _, one in sorted(judge(request, rule).good.items())
    )


def declared(request: Request) -> str:
    return request.lock.routes[request.route].active


def evidence_of(gates: Sequence[GateResult]) -> tuple[str, ...]:
    found = {d for one in gates if one.gate != "approvals" for d in one.evidence}
    return tuple(sorted(found))
