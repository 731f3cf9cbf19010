"""The promotion graph against a plain model, and every refusal by its message."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from store_backends import make_store

from llmguard.errors import ConfigError
from llmguard.store import (
    Action,
    Entry,
    LedgerConflictError,
    LedgerMoveError,
    NewEntry,
    RouteState,
    Stage,
    Store,
    fold,
    judge,
    legal_moves,
    step,
)
from llmguard.testing import VirtualClock

PINS = ["p-a", "p-b", "p-c"]
# One line per stage: what may be done with a pin there, and where it goes.
GRAPH = {
    "new": {"candidate": "candidate", "quarantine": "quarantined"},
    "candidate": {
        "shadow": "shadow",
        "canary": "canary",
        "promote": "active",
        "quarantine": "quarantined",
        "retire": "retired",
    },
    "shadow": {
        "candidate": "candidate",
        "canary": "canary",
        "promote": "active",
        "quarantine": "quarantined",
        "retire": "retired",
    },
    "canary": {
        "candidate": "candidate",
        "shadow": "shadow",
        "canary": "canary",
        "promote": "active",
        "quarantine": "quarantined",
        "retire": "retired",
    },
    "active": {},
    "retired": {"candidate": "candidate", "quarantine": "quarantined"},
    "quarantined": {"resume": "candidate"},
}


def _new(pin: str, action: str, base_rev: int, **more: object) -> NewEntry:
    fields: dict[str, object] = {"env": "prod", "route": "triage", "actor": "ann"}
    fields |= {"weight": 500} if action == "canary" else {}
    return NewEntry(
        pin=pin,
        action=Action(action),
        base_rev=base_rev,
        **{**fields, **more},  # type: ignore[arg-type]  # a helper's free keywords
    )


class LedgerMachine(RuleBasedStateMachine):
    """Random moves on one route; the model is a dict and a list."""

    def __init__(self, new_url: Callable[[], str]) -> None:
        super().__init__()
        self.clock = VirtualClock(epoch=1_000.0)
        self.store = make_store(new_url(), clock=self.clock, durable=False)
        self.ledger = self.store.ledger
        self.stages: dict[str, str] = {}
        self.active_before: list[str] = []
        self.past: list[tuple[float, RouteState]] = []

    def teardown(self) -> None:
        assert self.ledger.verify().ok
        for at, state in self.past:
            assert state == self.ledger.route_state("prod", "triage", at=at)
        self.store.close()

    def active(self) -> str | None:
        return next((p for p, stage in self.stages.items() if stage == "active"), None)

    def target(self, pin: str, action: str) -> str | None:
        """Return the stage a legal move leads to."""
        stage = self.stages.get(pin, "new")
        if action == "rollback":
            return "active" if self.active_before[-1:] == [pin] else None
        if (stage, action) == ("new", "promote"):
            return None if self.active() else "active"
        taken = any(self.stages[p] == "canary" for p in self.stages if p != pin)
        if action == "canary" and taken:
            return None
        return GRAPH[stage].get(action)

    @rule(pin=st.sampled_from(PINS), action=st.sampled_from([str(a) for a in Action]))
    def move(self, pin: str, action: str) -> None:
        state = self.ledger.route_state("prod", "triage")
        target = self.target(pin, action)
        legal = [str(a) for a in Action if self.target(pin, str(a))]
        assert legal == [str(one) for one in legal_moves(state, pin)]
        if target is None:
            with pytest.raises(LedgerMoveError) as refused:
                self.ledger.append(_new(pin, action, state.rev))
            assert legal == [str(one) for one in refused.value.legal]
            return
        self.clock.advance(1.0)
        entry = self.ledger.append(_new(pin, action, state.rev))
        assert (self.active() or "") == entry.prev_pin or target != "active"
        self.model(pin, action, target)
        self.past.append((entry.at, self.ledger.route_state("prod", "triage")))

    def model(self, pin: str, action: str, target: str) -> None:
        old = self.active()
        if target in {"active", "quarantined"}:
            self.active_before = [one for one in self.active_before if one != pin]
        if target == "active" and old:
            self.stages[old] = "quarantined" if action == "rollback" else "retired"
            if action == "promote":
                self.active_before.append(old)
        self.stages[pin] = target

    @invariant()
    def agrees_with_the_model(self) -> None:
        state = self.ledger.route_state("prod", "triage")
        assert self.stages == {pin: str(one) for pin, one in state.stages.items()}
        assert tuple(reversed(self.active_before)) == state.previous_active
        actives = [p for p, one in state.stages.items() if one is Stage.ACTIVE]
        assert ([state.active] if state.active else []) == actives
        canaries = [p for p, one in state.stages.items() if one is Stage.CANARY]
        assert ([(p, 500) for p in canaries]) == ([state.canary] if canaries else [])


def test_random_moves_are_as_the_model_has_them(new_url: Callable[[], str]) -> None:
    """On both backends."""
    run_state_machine_as_test(
        partial(LedgerMachine, new_url),
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None),
    )


def _walk(store: Store, *moves: tuple[str, str]) -> list[Entry]:
    found: list[Entry] = []
    for pin, action in moves:
        rev = found[-1].rev if found else 0
        found.append(store.ledger.append(_new(pin, action, rev)))
    return found


def test_a_rollback_quarantines_what_it_leaves(store: Store) -> None:
    """It goes to the last good active pin, and a resumed pin starts over."""
    moves = [("p-a", "promote"), ("p-b", "candidate"), ("p-b", "promote")]
    rows = _walk(store, *moves, ("p-a", "rollback"), ("p-b", "resume"))
    state = store.ledger.route_state("prod", "triage")
    assert ("p-a", ()) == (state.active, state.previous_active)
    assert {"p-a": Stage.ACTIVE, "p-b": Stage.CANDIDATE} == dict(state.stages)
    assert "p-b" == rows[3].prev_pin
    assert state == fold(RouteState(env="prod", route="triage"), rows)


@pytest.mark.parametrize(
    ("pin", "action", "said"),
    [
        ("p-a", "quarantine", "roll back (which quarantines this one) or promote"),
        ("p-c", "rollback", "no earlier active pin is left"),
        ("p-c", "canary", "'p-b' is the canary"),
        ("p-d", "shadow", "it has no entry yet; legal moves for it: `candidate`"),
    ],
)
def test_refusals_say_what_is_legal(
    store: Store, pin: str, action: str, said: str
) -> None:
    """The message holds the reason and the legal moves."""
    moves = [("p-a", "promote"), ("p-b", "candidate"), ("p-b", "canary")]
    rev = _walk(store, *moves, ("p-c", "candidate"))[-1].rev
    with pytest.raises(LedgerMoveError) as refused:
        store.ledger.append(_new(pin, action, rev))
    assert said in str(refused.value)
    assert rev == store.ledger.ledger_rev()


def test_a_rollback_names_where_it_may_go(store: Store) -> None:
    """Only the last good active pin is a target."""
    moves = [("p-a", "promote"), ("p-b", "candidate"), ("p-b", "promote")]
    rev = _walk(store, *moves, ("p-c", "candidate"))[-1].rev
    with pytest.raises(LedgerMoveError, match="a rollback returns to 'p-a'"):
        store.ledger.append(_new("p-c", "rollback", rev))


def test_the_second_of_two_is_told_who_moved_the_route(store: Store) -> None:
    """A stale `base_rev` is refused with the name, the move and the repair."""
    first = _walk(store, ("p-a", "promote"))[0]
    with pytest.raises(LedgerConflictError) as refused:
        store.ledger.append(_new("p-b", "candidate", 0, actor="bob"))
    assert (1, first) == (refused.value.rev, refused.value.last)
    assert "'ann' moved pin 'p-a' to 'active' at 1970-01-12" in str(refused.value)
    assert "`base_rev=1`" in str(refused.value)
    with pytest.raises(LedgerConflictError, match="has no entry, yet `base_rev` is 9"):
        store.ledger.append(_new("p-a", "promote", 9, route="other"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"env": ""}, "`env` of a ledger entry is empty"),
        ({"weight": 5}, "only a canary has a `weight`"),
        ({"reason": "a\0b"}, "holds a NUL"),
        ({"evidence": ("\ud800",)}, "half a surrogate pair"),
        ({"approvals": ({"at": float("nan")},)}, "are not JSON"),
        ({"approvals": ({"by": ("a", "b")},)}, "lists rather than tuples"),
    ],
)
def test_what_no_backend_could_keep_is_refused(
    more: dict[str, object], said: str
) -> None:
    """Entries are checked before anything is written."""
    with pytest.raises(ConfigError, match=said):
        _new("p-a", "candidate", 0, **more)


@pytest.mark.parametrize("weight", [None, -1, 10_001])
def test_a_canary_needs_a_weight(weight: int | None) -> None:
    """Basis points from 0 to 10,000."""
    with pytest.raises(ConfigError, match="in basis points"):
        _new("p-a", "canary", 0, weight=weight)


@pytest.mark.parametrize(
    ("action", "moved"),
    [
        ("promote", (Stage.SHADOW, Stage.ACTIVE, "p-a")),
        ("quarantine", (Stage.SHADOW, Stage.QUARANTINED, "")),
    ],
)
def test_a_move_knows_where_it_comes_from(
    action: str, moved: tuple[Stage, Stage, str]
) -> None:
    """The stage that is left, the one that is taken, and whose place it is."""
    state = RouteState(
        env="prod",
        route="triage",
        rev=3,
        count=3,
        active="p-a",
        stages={"p-a": Stage.ACTIVE, "p-b": Stage.SHADOW},
    )
    move = judge(state, _new("p-b", action, 3))
    assert moved == (move.from_stage, move.to_stage, move.prev_pin)


def test_a_refusal_says_where_the_pin_is() -> None:
    """Not only that it may not go where it was sent."""
    state = RouteState(
        env="prod", route="triage", rev=1, count=1, stages={"p-b": Stage.QUARANTINED}
    )
    with pytest.raises(LedgerMoveError, match=r"is quarantined.*`resume`"):
        judge(state, _new("p-b", "promote", 1))


def _entry(pin: str, action: Action, to: Stage, weight: int | None = None) -> Entry:
    return Entry(
        rev=7,
        base_rev=6,
        at=1.0,
        env="prod",
        route="triage",
        prev_pin="",
        lock_digest="",
        prev_hash="",
        hash="",
        actor="ann",
        reason="",
        evidence=(),
        approvals=(),
        pin=pin,
        action=action,
        from_stage=None,
        to_stage=to,
        weight=weight,
    )


LONG = RouteState(
    env="prod",
    route="triage",
    rev=6,
    count=6,
    active="p-a",
    previous_active=("p-b", "p-c", "p-d"),
    stages={"p-a": Stage.ACTIVE, "p-b": Stage.RETIRED, "p-c": Stage.RETIRED},
)


def test_a_rollback_returns_to_the_last_of_several() -> None:
    """Not to one before it, whatever came earlier."""
    assert Action.ROLLBACK in legal_moves(LONG, "p-b")
    assert Action.ROLLBACK not in legal_moves(LONG, "p-c")


def test_a_quarantined_pin_is_no_place_to_return_to() -> None:
    """The others stay, in their order; and the entry is counted."""
    after = step(LONG, _entry("p-c", Action.QUARANTINE, Stage.QUARANTINED))
    assert (("p-b", "p-d"), 7, 7) == (after.previous_active, after.count, after.rev)


def test_a_canary_may_have_no_share() -> None:
    """Zero basis points: it is known, and gets no call."""
    state = step(LONG, _entry("p-c", Action.CANARY, Stage.CANARY, weight=0))
    assert ("p-c", 0) == state.canary


@pytest.mark.parametrize(
    ("pin", "said"),
    [
        (
            "p-a",
            (
                "active: a route always has one active pin; roll back (which "
                "quarantines this one) or promote another first; legal moves for it: "
                "none"
            ),
        ),
        ("p-b", "retired; legal moves for it: `candidate`, `rollback`, `quarantine`"),
    ],
)
def test_a_refusal_in_full(pin: str, said: str) -> None:
    """Who reads only this sentence knows what to do."""
    with pytest.raises(LedgerMoveError) as refused:
        judge(LONG, _new(pin, "retire", 6))
    start = f"cannot retire pin {pin!r} on route 'triage' of 'prod', where it is "
    assert start + said == str(refused.value)


def test_a_first_pin_has_nothing_to_return_to() -> None:
    """The sentence says what to do instead."""
    state = RouteState(env="prod", route="triage", active="p-a")
    with pytest.raises(LedgerMoveError) as refused:
        judge(state, _new("p-b", "rollback", 0))
    assert (
        "it has no entry yet: no earlier active pin is left to return to; promote "
        "another one; legal moves for it: `candidate`, `quarantine`"
    ) in str(refused.value)
