"""What promotion returns: plain, immutable values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..store import Entry

__all__ = [
    "PERSON_ONLY",
    "TARGETS",
    "Approval",
    "GateResult",
    "GateState",
    "Moved",
    "Pending",
    "Plan",
    "PlannedPin",
    "Refusal",
    "RoutePlan",
]

TARGETS = ("shadow", "canary", "active")
"""Stages that a pin is promoted to, in their order."""

PERSON_ONLY = "llmguard"
"""The actor of what the library does by itself; no person may use the name."""


class GateState(enum.StrEnum):
    """What a gate says. Unknown blocks like a failure, and says what would decide."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One gate's word on one move.

    Attributes:
        gate: Its name, such as `suite`; `custom:MODULE:FUNCTION` for yours.
        state: Pass, fail, or unknown.
        reason: One sentence on what was found.
        repair: The command or edit that would clear it; empty when it passed.
        evidence: Digests of the stored documents that it rests on.
        forced: True when a person went past it.
    """

    gate: str
    state: GateState
    reason: str
    repair: str = ""
    evidence: tuple[str, ...] = ()
    forced: bool = False

    @property
    def blocks(self) -> bool:
        """True unless it passed or was forced."""
        return self.state is not GateState.PASS and not self.forced


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An approval that does not count, and why not.

    Attributes:
        approver: Who gave it, by its own word.
        kind: `unreadable`, `wrong-namespace`, `forged`, `unknown-signer`, `revoked`,
            `expired`, `replayed`, `void`, `foreign`, `author`, `same-key` or
            `not-asked`.
        reason: One sentence.
        source: The file, or the digest in the store.
    """

    approver: str
    kind: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A signed yes to one exact move.

    Attributes:
        body: What was signed: the move with all it rests on, who, when, how long.
        signature: The armoured SSH signature of `text`.
        source: The file it was read from, or the digest in the store.
    """

    body: Mapping[str, Any]
    signature: str
    source: str = ""

    @property
    def approver(self) -> str:
        """Who gave it, by its own word."""
        return str(self.body.get("approver", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a promotion, a rollback, a quarantine or a resumption did.

    Attributes:
        env: Environment.
        route: Route.
        pin: The pin that was moved; for a rollback the one that was taken out.
        serves: Id of the active pin now; empty when the route has none.
        rev: The route's revision now.
        entries: Rows written, oldest first; none when nothing had to change.
        gates: What the gates said; empty where none is asked.
        notes: What a person should know, one sentence each.
    """

    env: str
    route: str
    pin: str
    serves: str
    rev: int
    entries: tuple[Entry, ...] = ()
    gates: tuple[GateResult, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """True when something was written."""
        return bool(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One move that was decided on, before it is written.

    Attributes:
        to: Target: one of `TARGETS`, or `resume`.
        weight: Basis points; canaries only.
        gates: What every gate says now.
    """

    to: str
    weight: int | None
    gates: tuple[GateResult, ...]

    @property
    def ready(self) -> bool:
        """True when no gate blocks."""
        return not any(gate.blocks for gate in self.gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPin:
    """One pin of a route, in the lock and in the ledger.

    Attributes:
        pin: Its id.
        model: Its model; empty when the lock has lost it.
        owner: Who decides about it; empty when nobody is named.
        stage: Where the ledger has it; None when it does not know it.
        change: What the lock would change about it: `new`, `wanted` (the lock names it
            active, the ledger another), `gone`, `quarantined`, or empty.
        moves: Targets it may be promoted to, with their gates.
        next: The command that would do what the lock asks; empty when nothing is.
    """

    pin: str
    model: str = ""
    owner: str = ""
    stage: str | None = None
    change: str = ""
    moves: tuple[Pending, ...] = ()
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutePlan:
    """What the lock and the ledger say about one route, and what differs.

    Attributes:
        route: Its name.
        rev: Its revision in the ledger; 0 without entries.
        declared: Id of the lock's active pin; empty when the lock lacks the route.
        serves: Id of the pin that answers now.
        canary: Id and basis points, or None.
        pins: Every pin that either of them knows.
        notes: One sentence each.
    """

    route: str
    rev: int
    declared: str
    serves: str
    canary: tuple[str, int] | None = None
    pins: tuple[PlannedPin, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a changed lock would do in one environment.

    Attributes:
        env: Environment.
        lock_digest: SHA-256 of the lock's bytes.
        routes: Every route that lock or ledger knows, by name.
    """

    env: str
    lock_digest: str
    routes: tuple[RoutePlan, ...] = ()

    @property
    def blocked(self) -> bool:
        """True when the lock asks for a pin whose gates do not pass."""
        return any(
            each.change in {"new", "wanted"} and not all(m.ready for m in each.moves)
            for route in self.routes
            for each in route.pins
        )
