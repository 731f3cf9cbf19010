"""Random moves, locks and outages: what a call may meet, whatever happens."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmguard import (
    INJECTED,
    Model,
    Outcome,
    call_context,
    capture,
    config,
    contract,
    fallback_chain,
    pinned,
    pins,
    static,
)
from llmguard.guard import Runtime, use_runtime
from llmguard.pins.router import Router
from llmguard.store import (
    Action,
    Arm,
    ExperimentError,
    NewEntry,
    NewExperiment,
    SqliteStore,
    Stage,
    legal_moves,
)
from llmguard.testing import VirtualClock

from .routed import Project

_NAMES = st.sampled_from(["v1", "v2", "v3"])


class RoutedCalls(RuleBasedStateMachine):
    """One route of three versions, its ledger, its lock, and a store that may go."""

    def __init__(self) -> None:
        super().__init__()
        self.before = Path.cwd()
        self.folder = tempfile.TemporaryDirectory()
        root = Path(self.folder.name)
        os.chdir(root)
        config.reset()
        pins.forget()
        self.project = Project(root)
        self.lock = self.project.lock
        self.path = root / "store.db"
        self.store = SqliteStore(self.path, synchronous="OFF")
        self.away = False
        self.router = Router(store=lambda: self.store)
        self.clock = VirtualClock()
        self.runtime = Runtime(routing=self.router, clock=self.clock)

        @fallback_chain(static("nobody"), attempts=1)
        @contract(str)
        @pinned("triage")
        def ask(text: str, *, model: Model = INJECTED) -> str:
            return str(model.complete(text).text)

        self.ask = ask

    def teardown(self) -> None:
        """Leave nothing open."""
        if self.away:
            self.back()
        self.router.stop()
        self.store.close()
        os.chdir(self.before)
        self.folder.cleanup()

    @rule(
        name=_NAMES,
        number=st.integers(0, 7),
        weight=st.sampled_from([0, 2_000, 10_000]),
    )
    def move(self, name: str, number: int, weight: int) -> None:
        """Make one of the legal moves of a pin, if it has any."""
        if self.away:
            return
        pin = self.project.id(name)
        state = self.store.ledger.route_state("prod", "triage")
        moves = legal_moves(state, pin)
        if not moves:
            return
        action = moves[number % len(moves)]
        self.store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=pin,
                action=action,
                weight=weight if action is Action.CANARY else None,
                base_rev=state.rev,
                actor="ann",
            )
        )
        self.router.refresh()

    @rule(name=_NAMES, running=st.booleans())
    def experiment(self, name: str, *, running: bool) -> None:
        """Start, change or stop the one experiment."""
        if self.away:
            return
        arms = (
            Arm(name="control", weight=3_000),
            Arm(name="other", weight=6_000, pin=self.project.id(name)),
        )
        history = self.store.experiments.history("prod", "x")
        new = NewExperiment(
            env="prod",
            name="x",
            route="triage",
            arms=arms,
            running=running,
            base_version=len(history),
            actor="ann",
        )
        try:
            self.store.experiments.declare(new)
        except ExperimentError:  # pragma: no cover - it is the only one
            raise AssertionError(new) from None
        self.router.refresh()

    @rule(name=_NAMES)
    def shrink_lock(self, name: str) -> None:
        """Deploy a lock that lacks a version."""
        pin = self.project.id(name)
        route = self.lock.routes["triage"]
        if pin in route.allowed and pin != route.active:
            self._deploy(self.lock.without(pin))

    @rule(name=_NAMES, activate=st.booleans())
    def grow_lock(self, name: str, *, activate: bool) -> None:
        """Deploy a lock that has a version, or declares it active."""
        pin = self.project.pins[name]
        self._deploy(self.lock.with_pin(pin, activate=activate))

    def _deploy(self, lock: pins.Lock) -> None:
        self.lock = lock
        self.project.write(lock)
        pins.forget()  # files of one size, written within one tick, look alike
        self.clock.advance(1)  # after which calls look at the file again
        self.router.refresh()

    @rule()
    def take_away(self) -> None:
        """Lose the store."""
        if not self.away:
            self.path.rename(self.path.with_suffix(".away"))
            self.away = True
            self.router.refresh()

    @rule()
    def back(self) -> None:
        """Find it again."""
        if self.away:
            self.path.with_suffix(".away").rename(self.path)
            self.away = False
            self.router.refresh()

    @rule()
    def restart(self) -> None:
        """Go on as another process would, that starts now."""
        self.router.stop()

        def opened() -> SqliteStore:
            if self.away:
                raise OSError("the store is away")
            return self.store

        self.router = Router(store=opened)
        self.router.refresh()
        self.runtime.routing = self.router

    @invariant()
    def calls_meet_what_they_may(self) -> None:
        """Allowed by the lock, not quarantined, by one revision; or nobody at all."""
        table = self.router.table
        state = table.route("triage")
        bad = {
            pin
            for pin, stage in (state.stages if state else {}).items()
            if stage is Stage.QUARANTINED
        }
        for number in range(6):
            outcome = self._call(f"user-{number}")
            assert table.rev == outcome.revision
            if outcome.tier == "triage":
                assert outcome.pin in self.lock.routes["triage"].allowed
                assert outcome.pin not in bad
            else:
                declared = self.lock.routes["triage"].active
                assert declared in bad
                assert state is not None
                active = state.active
                assert active is None or active not in self._allowed()
        assert self.away == table.stale or not table.env

    def _allowed(self) -> tuple[str, ...]:
        return self.lock.routes["triage"].allowed

    def _call(self, key: str) -> Outcome:
        with use_runtime(self.runtime), capture() as outcomes, call_context(key=key):
            self.ask("hello")
        return outcomes[0]


RoutedCalls.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestRoutedCalls(RoutedCalls.TestCase):  # type: ignore[name-defined, misc]  # made by hypothesis
    """Runs the machine."""

    @pytest.fixture(autouse=True)
    def _reset(self) -> object:
        yield
        config.reset()
        pins.forget()
