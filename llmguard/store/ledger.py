"""The ledger: which pinned version serves each route, and who moved it when.

* LedgerError
    + LedgerConflictError  somebody moved the route first: read it again, then decide
    + LedgerMoveError      the promotion graph has no such move
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import ConfigError, LLMGuardError

__all__ = [
    "MAX_WEIGHT",
    "Action",
    "Entry",
    "LedgerCheck",
    "LedgerConflictError",
    "LedgerError",
    "LedgerMoveError",
    "LedgerStore",
    "NewEntry",
    "RouteState",
    "Stage",
]

MAX_WEIGHT = 10_000
"""Basis points: the whole traffic of a route."""


class Stage(enum.StrEnum):
    """Where a pin is on its way to a route's traffic."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    ACTIVE = "active"
    RETIRED = "retired"
    QUARANTINED = "quarantined"


class Action(enum.StrEnum):
    """What an entry does to its pin."""

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    QUARANTINE = "quarantine"
    RESUME = "resume"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """A move that somebody asks for.

    Attributes:
        env: Environment, such as `prod`.
        route: Name of the route in `models.lock`.
        pin: Id of the pin that moves; for a rollback, the one that comes back.
        action: What to do with it.
        base_rev: `rev` of the route's state that the decision rests on; 0 for a route
            without entries.
        actor: Who decided.
        weight: Share of the traffic in basis points, 0 to 10,000; canaries only.
        reason: Why, one line.
        lock_digest: Digest of the `models.lock` that names the pin.
        evidence: Digests of stored evidence.
        approvals: JSON objects, each one person's approval.

    Raises:
        ConfigError: A field cannot be what it is.
    """

    env: str
    route: str
    pin: str
    action: Action
    base_rev: int
    actor: str
    weight: int | None = None
    reason: str = ""
    lock_digest: str = ""
    evidence: tuple[str, ...] = ()
    approvals: tuple[Mapping[str, object], ...] = ()

    def __post_init__(self) -> None:
        for name in ("env", "route", "pin", "actor"):
            if not getattr(self, name):
                raise ConfigError(f"`{name}` of a ledger entry is empty; name it")
        _check_weight(self.action, self.weight)
        texts = (self.env, self.route, self.pin, self.actor, self.reason)
        for text in (*texts, self.lock_digest, *self.evidence):
            _check_text(text)
        _check_json(self.approvals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of the ledger; nothing ever changes it.

    Attributes:
        rev: Its place in the ledger of the whole store, from 1 without gaps.
        at: Epoch seconds by the store's clock; never less than the row before.
        env: Environment.
        route: Name of the route.
        pin: Id of the pin that moved.
        action: What was done.
        from_stage: Where the pin was; None when the route did not know it.
        to_stage: Where it is since.
        weight: Basis points of a canary, else None.
        prev_pin: The pin that was active until then, for a promotion or a rollback;
            else empty.
        base_rev: Last `rev` of the same environment and route before this one.
        lock_digest: Digest of the `models.lock` that names the pin.
        evidence: Digests of stored evidence.
        approvals: JSON objects, each one person's approval.
        actor: Who decided.
        reason: Why.
        prev_hash: `hash` of the row before; empty for the first.
        hash: SHA-256 of the canonical JSON of all other fields, 64 hex digits.
    """

    rev: int
    at: float
    env: str
    route: str
    pin: str
    action: Action
    from_stage: Stage | None
    to_stage: Stage
    weight: int | None
    prev_pin: str
    base_rev: int
    lock_digest: str
    evidence: tuple[str, ...]
    approvals: tuple[Mapping[str, object], ...]
    actor: str
    reason: str
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """What one route's entries amount to.

    Attributes:
        env: Environment.
        route: Name of the route.
        rev: Last revision that moved it; 0 without entries.
        count: How many entries it has.
        active: Id of the pin that serves; None before the first promotion, where the
            lock's active pin serves.
        canary: Id and weight in basis points of the canary, or None.
        stages: Stage of every pin that the route knows, in the order they came.
        previous_active: Pins a rollback may return to, the most recent first; a pin
            that was quarantined is not among them.
    """

    env: str
    route: str
    rev: int = 0
    count: int = 0
    active: str | None = None
    canary: tuple[str, int] | None = None
    stages: Mapping[str, Stage] = field(default_factory=dict[str, Stage])
    previous_active: tuple[str, ...] = ()

    @property
    def shadows(self) -> tuple[str, ...]:
        """Ids of the pins that run in shadow."""
        return tuple(pin for pin, stage in self.stages.items() if stage is Stage.SHADOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCheck:
    """What a walk along the chain found.

    Attributes:
        ok: True when every row is what was written.
        entries: Good rows from the start.
        head: Hash of the last good row. Keep it elsewhere: who can write the whole
            file can write a whole new chain, but not one that ends in it.
        bad_rev: The first row that is wrong or missing, else None.
        columns: Which of its columns differ, as far as the chain can tell.
        problem: One sentence; empty when all is well.
    """

    ok: bool
    entries: int
    head: str
    bad_rev: int | None = None
    columns: tuple[str, ...] = ()
    problem: str = ""


class LedgerError(LLMGuardError):
    """The ledger did not take an entry; nothing was written."""


class LedgerConflictError(LedgerError):
    """The route is not at the entry's `base_rev`.

    Attributes:
        rev: The route's last revision; 0 without entries.
        last: Its last entry, or None.
    """

    def __init__(self, message: str, *, rev: int, last: Entry | None) -> None:
        super().__init__(message)
        self.rev = rev
        self.last = last


class LedgerMoveError(LedgerError):
    """The promotion graph has no such move.

    Attributes:
        legal: What may be done with that pin instead.
    """

    def __init__(self, message: str, *, legal: tuple[Action, ...]) -> None:
        super().__init__(message)
        self.legal = legal


class LedgerStore(Protocol):
    """An append-only, hash-chained record of moves, shared by processes."""

    def append(self, entry: NewEntry) -> Entry:
        """Write a move durably and return its row.

        Raises:
            LedgerConflictError: `base_rev` is not the route's last revision.
            LedgerMoveError: The move is illegal; the message names the legal ones.
            StoreError: The store could not write.
        """
        ...

    def ledger_rev(self) -> int:
        """Return the last revision, 0 when empty; cheap to poll."""
        ...

    def entries(
        self,
        *,
        env: str | None = None,
        route: str | None = None,
        since_rev: int = 0,
        until: float | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Sequence[Entry]:
        """Return rows after `since_rev`, up to and including the time `until`."""
        ...

    def route_state(
        self, env: str, route: str, *, at: float | None = None
    ) -> RouteState:
        """Return a route's state, now or at an epoch time; empty without entries."""
        ...

    def route_states(
        self, env: str, *, at: float | None = None
    ) -> Mapping[str, RouteState]:
        """Return the state of every route of `env` that had entries, by name."""
        ...

    def verify(self) -> LedgerCheck:
        """Walk the chain from the start and name the first row that is wrong."""
        ...


def _check_weight(action: Action, weight: int | None) -> None:
    if action is not Action.CANARY and weight is not None:
        raise ConfigError(
            f"weight {weight!r} with action {action.value!r}: only a canary has a "
            "`weight`; leave it out"
        )
    if action is Action.CANARY and (weight is None or not 0 <= weight <= MAX_WEIGHT):
        raise ConfigError(
            f"weight {weight!r} of a canary: give `weight` in basis points, 0 to "
            f"{MAX_WEIGHT}, such as 500 for 5 %"
        )


def _check_text(text: str) -> None:
    # Every backend must keep it byte for byte, or the hash would not hold.
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ConfigError(
            f"{text!r} in a ledger entry holds a NUL or half a surrogate pair; "
            "remove it"
        )


def _check_json(approvals: tuple[Mapping[str, object], ...]) -> None:
    try:
        text = json.dumps(approvals, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"`approvals` of a ledger entry are not JSON ({error}); give objects of "
            "strings and numbers"
        ) from None
    _check_text(text)
    if json.loads(text) != [dict(one) for one in approvals]:
        raise ConfigError(
            f"`approvals` {approvals!r} of a ledger entry change when written as "
            "JSON; give string keys, and lists rather than tuples"
        )
