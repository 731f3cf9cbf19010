"""Any order of moves through the API keeps what the promotion graph promises."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llmguard.pins import Lock, Pin
from llmguard.promotion import (
    PromotionError,
    QuarantinedError,
    RollbackError,
    promote,
    quarantine,
    resume,
    rollback,
)
from llmguard.store import (
    Action,
    LedgerMoveError,
    RouteState,
    SqliteStore,
    Stage,
    fold,
)

PINS = [Pin(route="r", provider="openai", model=f"m-{n}") for n in range(4)]
LOCK = Lock()
for each in PINS:
    LOCK = LOCK.with_pin(each)
IDS = st.sampled_from([pin.id for pin in PINS])
TARGETS = st.sampled_from(["shadow", "canary", "active"])
TRAFFIC = {Stage.SHADOW, Stage.CANARY, Stage.ACTIVE}


class Moves(RuleBasedStateMachine):
    """People and the library move four pins of one route."""

    folder: Any
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        path = self.folder / f"m{next(self.numbers)}.db"
        self.store = SqliteStore(path, synchronous="OFF")
        self.at = 1_000_000.0
        self.automatic: list[float] = []

    def teardown(self) -> None:
        self.store.close()

    @property
    def state(self) -> RouteState:
        return self.store.ledger.route_state("prod", "r")

    def given(self, **more: Any) -> dict[str, Any]:
        given = {"store": self.store, "route": "r", "env": "prod", "lock": LOCK}
        return given | {"actor": "ann", "now": self.at} | more

    @rule(pin=IDS, to=TARGETS, weight=st.integers(0, 10_000), force=st.booleans())
    def promote(self, pin: str, to: str, weight: int, *, force: bool) -> None:
        """A quarantined pin is refused, by force too; else it is where it should be."""
        before = self.state
        given = self.given(pin=pin, to=to, weight=weight if to == "canary" else None)
        try:
            promote(**given, force="because" if force else "")
        except QuarantinedError:
            assert Stage.QUARANTINED is before.stages[pin]
            assert before == self.state
        except LedgerMoveError:
            canary = self.state.canary
            blocked = to == "canary" and canary is not None and canary[0] != pin
            assert blocked or self.state.active == pin
        else:
            assert Stage(to) is self.state.stages[pin]
            if to == "canary":
                assert (pin, weight) == self.state.canary

    @rule()
    def back(self) -> None:
        """A canary goes first, else the last good one comes back; both never return."""
        before = self.state
        try:
            moved = rollback(**self.given())
        except RollbackError:
            assert before.canary is None
            assert () == before.previous_active
            return
        assert Stage.QUARANTINED is self.state.stages[moved.pin]
        if before.canary:
            assert before.canary[0] == moved.pin
            assert before.active == self.state.active
        else:
            assert before.previous_active[0] == self.state.active

    @rule(pin=IDS)
    def automatic_back(self, pin: str) -> None:
        """The library takes out what it was told to, at most once an hour."""
        with contextlib.suppress(RollbackError):
            moved = rollback(**self.given(pin=pin, actor="llmguard"))
            if any(e.action is Action.ROLLBACK for e in moved.entries):
                self.automatic.append(self.store.ledger.entries()[-1].at)

    @rule(pin=IDS)
    def put_away(self, pin: str) -> None:
        """What cannot be quarantined is told; what can be, is."""
        try:
            quarantine(**self.given(pin=pin))
        except (RollbackError, LedgerMoveError):
            stages = self.state.stages
            assert self.state.active in (pin, None) or (
                stages[pin] is Stage.QUARANTINED
            )
        else:
            assert Stage.QUARANTINED is self.state.stages[pin]

    @rule(pin=IDS)
    def lift(self, pin: str) -> None:
        """Only a quarantined pin is resumed."""
        before = self.state.stages.get(pin)
        try:
            resume(**self.given(pin=pin, reason="looked at it"))
        except PromotionError:
            assert Stage.QUARANTINED is not before
        else:
            assert Stage.CANDIDATE is self.state.stages[pin]

    @precondition(lambda self: self.state.rev)
    @invariant()
    def one_serves_and_no_quarantined_one(self) -> None:
        """Exactly one active pin at every revision, and none with a quarantine."""
        state = RouteState(env="prod", route="r")
        away: set[str] = set()
        for row in self.store.ledger.entries():
            state = fold(state, [row])
            assert 1 == list(state.stages.values()).count(Stage.ACTIVE)
            if row.action is Action.RESUME:
                away.discard(row.pin)
            assert not away & {p for p, s in state.stages.items() if s in TRAFFIC}
            away |= {p for p, s in state.stages.items() if s is Stage.QUARANTINED}
        assert state == self.state
        assert self.store.ledger.verify().ok

    @invariant()
    def machines_are_patient(self) -> None:
        """No two automatic rollbacks within the hour."""
        rows = [
            row
            for row in self.store.ledger.entries()
            if row.action is Action.ROLLBACK and row.actor == "llmguard"
        ]
        assert len(rows) <= 1  # the virtual hour does not pass here


def test_any_order_of_moves(project: Any) -> None:
    """Through the API, with the gates off but for the ledger's."""
    project.gates("[tool.llmguard.gates]\nsuite = false\nhorizon = false")
    Moves.folder = project.folder
    run_state_machine_as_test(
        Moves,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
