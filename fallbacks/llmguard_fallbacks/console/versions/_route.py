"""One route over time: who moved which version, on what, and where it stood."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from llmguard.promotion._history import sentence
from llmguard.promotion.types import PERSON_ONLY
from llmguard.store import step

from ._read import PinView, overview, pin_view

if TYPE_CHECKING:
    from llmguard.pins import Lock
    from llmguard.store import Entry, EvidenceRow, RouteState, Store

    from ._read import RouteView

__all__ = [
    "ApprovalView",
    "EvidenceView",
    "MoveView",
    "RoutePage",
    "Stood",
    "route_page",
]

_ROOM = 200
_PER_PAGE = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """A document that a move rests on.

    Attributes:
        digest: Its digest.
        kind: `suite`, `shadow`; empty when this store does not have it.
        verdict: What it says.
        reason: One sentence of it.
        at: Epoch seconds.
    """

    digest: str
    kind: str = ""
    verdict: str = ""
    reason: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalView:
    """A signed yes.

    Attributes:
        approver: Who gave it, by its own word; the signature was checked at the move.
        at: Epoch seconds when it was signed; None where it does not say.
        signature: The armoured signature.
    """

    approver: str
    at: float | None
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveView:
    """One entry of the ledger.

    Attributes:
        rev: Revision.
        at: Epoch seconds.
        pin: The version that moved.
        action: What was done.
        text: The same for people.
        actor: Who decided.
        automatic: True when the library did.
        reason: Why.
        evidence: What it rests on.
        approvals: Who signed it.
    """

    rev: int
    at: float
    pin: str
    action: str
    text: str
    actor: str
    automatic: bool
    reason: str
    evidence: tuple[EvidenceView, ...]
    approvals: tuple[ApprovalView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """A version stood in one stage for a while.

    Attributes:
        pin: The version.
        stage: The stage.
        start: Epoch seconds.
        end: Epoch seconds; that of the question while it still stands there.
        weight: Basis points of a canary; None for others.
    """

    pin: str
    stage: str
    start: float
    end: float
    weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePage:
    """Everything about one route.

    Attributes:
        view: What it is now.
        pins: Every version that the lock or the ledger knows.
        moves: Entries, the newest first.
        more: Revision to go on from for older ones; 0 when there are none.
        stood: Where versions stood in the span, by version.
        marks: Moves in the span, for the plot: version, time, action and sentence.
        start: Epoch seconds at which the span begins.
        end: Where it ends.
    """

    view: RouteView
    pins: tuple[PinView, ...]
    moves: tuple[MoveView, ...]
    more: int
    stood: tuple[Stood, ...]
    marks: tuple[tuple[str, float, str, str], ...]
    start: float
    end: float


def route_page(
    store: Store,
    env: str,
    route: str,
    *,
    lock: Lock | None,
    now: float,
    span: float,
    before: int = 0,
) -> RoutePage | None:
    """Read one route; None when nobody knows it.

    Args:
        store: The store.
        env: Environment.
        route: Its name.
        lock: What may run; None when it cannot be read.
        now: Epoch seconds.
        span: Seconds that the plot goes back.
        before: List moves older than this revision; 0 from the newest.
    """
    found = overview(store, env, lock=lock, now=now)
    view = next((one for one in found.routes if one.route == route), None)
    if view is None:
        return None
    state = store.ledger.route_state(env, route)
    until = _time_of(store, env, route, before) if before else None
    rows = [
        row
        for row in store.ledger.entries(
            env=env,
            route=route,
            until=until,
            limit=_PER_PAGE + 2 + (_ROOM if before else 0),
            newest_first=True,
        )
        if not before or row.rev < before
    ]
    recent = _recent(store, env, route, now - span)
    return RoutePage(
        view=view,
        pins=_pins(state, lock, route, now),
        moves=tuple(_move(store, row) for row in rows[:_PER_PAGE]),
        more=rows[_PER_PAGE - 1].rev if len(rows) > _PER_PAGE else 0,
        stood=tuple(_stood(store, recent, (env, route), (now - span, now))),
        marks=tuple(
            (row.pin, row.at, row.action.value, sentence(row)) for row in recent
        ),
        start=now - span,
        end=now,
    )


def _time_of(store: Store, env: str, route: str, rev: int) -> float | None:
    rows = store.ledger.entries(env=env, route=route, since_rev=rev - 1, limit=1)
    return rows[0].at if rows else None


def _recent(store: Store, env: str, route: str, since: float) -> list[Entry]:
    """Return the entries since a time, oldest first; the newest where many."""
    rows = store.ledger.entries(env=env, route=route, limit=_ROOM, newest_first=True)
    return [row for row in reversed(rows) if row.at >= since]


def _pins(
    state: RouteState, lock: Lock | None, route: str, now: float
) -> tuple[PinView, ...]:
    declared = lock.routes.get(route) if lock else None
    names = dict.fromkeys((*state.stages, *(declared.allowed if declared else ())))
    today = datetime.fromtimestamp(now, UTC).date()
    return tuple(
        pin_view(
            name,
            lock.pins.get(name) if lock else None,
            state.stages[name].value if name in state.stages else "",
            today=today,
        )
        for name in names
    )


def _stood(
    store: Store,
    rows: Sequence[Entry],
    about: tuple[str, str],
    span: tuple[float, float],
) -> Iterable[Stood]:
    """Yield where each version stood, from folding the entries of the span."""
    start, end = span
    first = rows[0].at if rows else end
    state = store.ledger.route_state(*about, at=first - 1e-3)
    open_: dict[str, tuple[str, float, int | None]] = {
        pin: (stage.value, start, _weight(state, pin))
        for pin, stage in state.stages.items()
    }
    for row in rows:
        state = step(state, row)
        for pin, stage in state.stages.items():
            now = (stage.value, _weight(state, pin))
            was = open_.get(pin)
            if was is not None and (was[0], was[2]) == now:
                continue
            if was is not None and row.at > was[1]:
                yield Stood(
                    pin=pin, stage=was[0], start=was[1], end=row.at, weight=was[2]
                )
            open_[pin] = (now[0], row.at, now[1])
    for pin, (name, since, weight) in open_.items():
        yield Stood(pin=pin, stage=name, start=since, end=end, weight=weight)


def _weight(state: RouteState, pin: str) -> int | None:
    return state.canary[1] if state.canary and state.canary[0] == pin else None


def _move(store: Store, row: Entry) -> MoveView:
    return MoveView(
        rev=row.rev,
        at=row.at,
        pin=row.pin,
        action=row.action.value,
        text=sentence(row),
        actor=row.actor,
        automatic=row.actor == PERSON_ONLY,
        reason=row.reason,
        evidence=tuple(
            _evidence(digest, store.get_evidence(digest)) for digest in row.evidence
        ),
        approvals=tuple(_approval(one) for one in row.approvals),
    )


def _evidence(digest: str, row: EvidenceRow | None) -> EvidenceView:
    if row is None:
        return EvidenceView(digest=digest)
    return EvidenceView(
        digest=digest,
        kind=row.kind,
        verdict=row.verdict,
        reason=_reason(row.body),
        at=row.at,
    )


def _reason(text: str) -> str:
    """Return the sentence that a stored document gives; empty for none."""
    body: object = json.loads(text)
    if not isinstance(body, dict):
        return ""
    return str(cast("dict[str, Any]", body).get("reason") or "")


def _approval(one: Mapping[str, object]) -> ApprovalView:
    given: object = one.get("approval")
    body: dict[str, object] = {}
    if isinstance(given, Mapping):
        body = dict(cast("Mapping[str, object]", given))
    at = body.get("at")
    return ApprovalView(
        approver=str(body.get("approver", "")),
        at=float(at) if isinstance(at, int | float) else None,
        signature=str(one.get("signature", "")),
    )
