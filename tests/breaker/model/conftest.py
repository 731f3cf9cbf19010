"""An independent model of the breaker, and a machine that drives both together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from llmguard.breaker import (
    ALTERNATIVES,
    BreakerOpenError,
    BreakerPolicy,
    BreakerRegistry,
    Permit,
    State,
    Transition,
    VersionBreaker,
)
from llmguard.breaker._machine import Machine
from llmguard.outcome import POLICY, Kind, Signal

initialize, precondition = stateful.initialize, stateful.precondition
rule, invariant = stateful.rule, stateful.invariant

POLICY_UNDER_TEST = BreakerPolicy(
    consecutive=3,
    min_calls=6,
    window=10.0,
    slow_call=2.0,
    open_for=5.0,
    open_cap=20.0,
    probes=2,
    probe_lease=4.0,
    probe_error=0.2,
    calls_per_false_trip=40.0,
    remember_inputs=3,
    remember_for=20.0,
)
JITTER = 0.25
PROTECTED = {State.QUARANTINED, State.FORCED_OPEN, State.FORCED_CLOSED}


@dataclass
class Model:
    """What the breaker should be, computed from histories and nothing clever."""

    state: State = State.CLOSED
    generation: int = 0
    era: int = 0
    since: float = 0.0
    until: float = 0.0
    openings: int = 0
    lasted: float = 0.0
    ended: list[tuple[int, bool, bool, bool]] = field(default_factory=list)
    votes: list[bool] = field(default_factory=list)
    leases: dict[int, float] = field(default_factory=dict)
    verdicts: list[bool] = field(default_factory=list)
    seen: dict[str, float] = field(default_factory=dict)
    dirty: bool = True

    def enter(self, state: State, now: float, until: float = 0.0) -> None:
        if PROTECTED & {self.state, state}:
            self.era += 1
            self.verdicts = []
        self.state, self.since, self.until = state, now, until
        self.generation += 1
        self.ended, self.votes, self.leases = [], [], {}
        self.dirty = True

    def trip(self, now: float) -> None:
        if self.state not in (State.CLOSED, State.HALF_OPEN):
            return
        if self.state is State.CLOSED and now - self.since >= self.lasted:
            self.openings = 0
        factor = 1 + 0.2 * (2 * JITTER - 1)
        self.lasted = min(5.0 * 2**self.openings, 20.0) * factor
        self.openings += 1
        self.enter(State.OPEN, now, now + self.lasted)

    def admits(self, now: float) -> bool:
        if self.state is State.OPEN and now >= self.until:
            self.enter(State.HALF_OPEN, now)
        if self.state is State.HALF_OPEN:
            return sum(ends > now for ends in self.leases.values()) < 2
        return self.state in (State.CLOSED, State.FORCED_CLOSED)

    def window(self, now: float) -> list[tuple[int, bool, bool, bool]]:
        return [e for e in self.ended if e[0] > int(now) - 10]

    def run(self) -> int:
        run = 0
        for _, failed, _, neutral in reversed(self.ended):
            if not (failed or neutral):
                break
            run += failed
        return run

    def overloaded(self, now: float) -> bool:
        recent = self.window(now)
        if self.run() >= 3:
            return True
        n, failed, slow = (
            len(recent),
            sum(e[1] for e in recent),
            sum(e[2] for e in recent),
        )
        return n >= 6 and (failed >= 0.5 * n or slow >= 0.8 * n)

    def finish(self, kind: Kind, elapsed: float, now: float) -> None:
        """Count a result of the current generation."""
        signal, slow = POLICY[kind].infra, elapsed >= 2.0
        if kind is Kind.WRONG_MODEL:
            if self.state not in PROTECTED:
                self.enter(State.QUARANTINED, now)
        elif signal is Signal.IGNORE and not (kind is Kind.CANCELLED and slow):
            pass
        elif self.state is State.HALF_OPEN:
            self.votes.append(signal is Signal.FAILURE or slow)
            ratio = sum(math.log(0.2 / 0.02 if v else 0.8 / 0.98) for v in self.votes)
            if ratio <= -math.log(0.8 / 0.2):
                self.enter(State.CLOSED, now)
            elif ratio >= math.log(0.8 / 0.2):
                self.trip(now)
        else:
            neutral = signal is Signal.IGNORE
            failed = signal is Signal.FAILURE
            self.ended.append((int(now), failed, slow, neutral))
            if self.state is State.CLOSED and self.overloaded(now):
                self.trip(now)

    def evidence(self) -> float:
        """Sum over every restart of the product of ratios, averaged over rates."""
        total = 0.0
        for rate in ALTERNATIVES:
            for start in range(len(self.verdicts)):
                product = 1.0
                for bad in self.verdicts[start:]:
                    product *= rate / 0.02 if bad else (1 - rate) / 0.98
                total += product
        return total / len(ALTERNATIVES)

    def observe(self, what: str, kind: Kind, now: float) -> None:
        signal = POLICY[kind].behaviour
        if self.state in PROTECTED:
            return
        self.seen = {f: at for f, at in self.seen.items() if now - at < 20.0}
        if what in self.seen:
            return
        self.seen[what] = now
        if len(self.seen) > 3:
            del self.seen[min(self.seen, key=self.seen.__getitem__)]
        self.verdicts.append(signal is Signal.FAILURE)
        if self.evidence() >= 40.0:
            self.enter(State.QUARANTINED, now)


ANY_KIND = st.sampled_from(list(Kind)) | st.sampled_from(
    [Kind.OK, Kind.TRANSPORT, Kind.TIMEOUT, Kind.CANCELLED]
)


class BreakerMachine(stateful.RuleBasedStateMachine):
    """Drives the breaker and the model together."""

    breaker_type: type[VersionBreaker] = VersionBreaker
    machine_type: type[Machine] = Machine
    clock_type: type[Any]
    store_type: type[Any]

    @initialize()
    def start(self) -> None:
        self.clock = self.clock_type()
        self.store = self.store_type()
        self.stored: tuple[State, float] | None = None
        self.boot()

    def boot(self) -> None:
        under_test = self.machine_type

        class UnderTest(self.breaker_type):  # type: ignore[misc,name-defined]  # - chosen per test
            _machine_type = under_test

        class Registry(BreakerRegistry):
            _breaker_type = UnderTest

        self.permits: list[tuple[Permit, int, int]] = []
        self.events: list[Transition] = []
        self.registry = Registry(
            store=self.store,
            policy=POLICY_UNDER_TEST,
            clock=self.clock,
            rng=lambda: JITTER,
        )
        self.registry.on_transition(self.events.append)
        self.breaker = self.registry.get("f", "p-1")
        self.model = Model(since=self.clock.now)
        self.booted = self.breaker.snapshot().generation

    def stores(self) -> None:
        """The model's store takes what the breaker should have published."""
        if not self.store.down and (self.model.dirty or self.stored is None):
            until = {
                State.OPEN: self.model.until,
                State.HALF_OPEN: self.model.since + 4.0,
            }.get(self.model.state, 0.0)
            self.stored = (self.model.state, until)
            self.model.dirty = False

    def after(self) -> None:
        if self.model.state is State.QUARANTINED and self.model.dirty:
            self.stores()

    @rule()
    def acquire(self) -> None:
        expected = self.model.admits(self.clock.now)
        before = self.model.state
        try:
            permit = self.breaker.acquire()
        except BreakerOpenError as error:
            assert not expected
            assert (before is State.QUARANTINED) == error.quarantined
            return
        assert expected
        index = len(self.permits)
        self.permits.append((permit, self.model.generation, self.model.era))
        if self.model.state is State.HALF_OPEN:
            self.model.leases[index] = self.clock.now + 4.0

    @precondition(lambda self: self.permits)
    @rule(data=st.data(), kind=ANY_KIND, elapsed=st.sampled_from([0.1, 0.5, 2.0, 9.0]))
    def finish(self, data: st.DataObject, kind: Kind, elapsed: float) -> None:
        last = len(self.permits) - 1
        index = data.draw(st.integers(max(0, last - 5), last))
        permit, generation, _ = self.permits[index]
        fresh = not permit.done
        self.breaker.record(permit, kind, elapsed=elapsed)
        if not fresh:
            return
        self.model.leases.pop(index, None)
        if generation == self.model.generation:
            self.model.finish(kind, elapsed, self.clock.now)
        self.after()

    @rule(
        kind=st.sampled_from([Kind.OK, Kind.TRANSPORT, Kind.TIMEOUT]),
        n=st.integers(1, 8),
    )
    def calls(self, kind: Kind, n: int) -> None:
        """Several whole calls with the same end."""
        for _ in range(n):
            count = len(self.permits)
            self.acquire()
            if len(self.permits) > count:
                permit, generation, _ = self.permits[-1]
                self.breaker.record(permit, kind, elapsed=0.1)
                self.model.leases.pop(count, None)
                assert generation == self.model.generation
                self.model.finish(kind, 0.1, self.clock.now)

    @rule(probes=st.integers(1, 4), late=st.sampled_from([0.0, 1.0, 4.0]))
    def recover(self, probes: int, late: float) -> None:
        """Go to half-open, where most faults hide, and ask for places."""
        self.command_release()
        self.command_trip()
        self.clock.now = max(self.clock.now, self.model.until)
        for _ in range(probes):
            self.acquire()
        self.clock.now += late

    @rule(what=st.sampled_from("abcdef"), kind=ANY_KIND, data=st.data())
    def observe(self, what: str, kind: Kind, data: st.DataObject) -> None:
        permit, era = None, self.model.era
        if self.permits and data.draw(st.booleans()):
            permit, _, era = self.permits[
                data.draw(st.integers(0, len(self.permits) - 1))
            ]
        self.breaker.observe(what, kind, permit=permit)
        if era == self.model.era and POLICY[kind].behaviour is not Signal.IGNORE:
            self.model.observe(what, kind, self.clock.now)
            self.after()

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.0, 4.0, 5.0, 12.0, 25.0]))
    def tick(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(verb=st.sampled_from(["trip", "quarantine", "open", "closed", "release"]))
    def command(self, verb: str) -> None:
        getattr(self, f"command_{verb}")()
        self.after()

    def command_trip(self) -> None:
        self.breaker.trip("test")
        self.model.trip(self.clock.now)

    def command_quarantine(self) -> None:
        """Evidence gives way to a person, who gives way to nobody."""
        if self.model.state not in PROTECTED:
            self.model.enter(State.QUARANTINED, self.clock.now)
        self.breaker.quarantine("test")

    def command_open(self) -> None:
        """Forcing open leaves a quarantine as it is."""
        if self.model.state not in (State.QUARANTINED, State.FORCED_OPEN):
            self.model.enter(State.FORCED_OPEN, self.clock.now)
        self.breaker.force_open("test", "ana")

    def command_closed(self) -> None:
        if self.model.state is not State.FORCED_CLOSED:
            self.model.enter(State.FORCED_CLOSED, self.clock.now)
        self.breaker.force_closed("test", "ana")

    def command_release(self) -> None:
        if self.model.state is not State.CLOSED:
            self.model.enter(State.CLOSED, self.clock.now)
            self.model.openings, self.model.lasted = 0, 0.0
        self.breaker.release("test", "ana")

    @rule()
    def sync(self) -> None:
        assert self.registry.sync() != self.store.down
        self.stores()

    @rule(down=st.booleans())
    def outage(self, down: bool) -> None:
        self.store.down = down

    @precondition(lambda self: self.stored is not None)
    @rule()
    def store_loss(self) -> None:
        self.store.lose()
        self.stored = None

    @precondition(lambda self: not self.store.down)
    @rule()
    def restart(self) -> None:
        """The process dies; the next one knows what the store knows."""
        self.boot()
        if self.stored is None:
            return
        state, until = self.stored
        if state in PROTECTED:
            self.model.enter(state, self.clock.now)
        elif state is not State.CLOSED and until > self.clock.now:
            self.model.enter(State.OPEN, self.clock.now, until)
        self.model.dirty = False

    @invariant()
    def agrees(self) -> None:
        now, model = self.clock.now, self.model
        shown, recent = self.breaker.snapshot(), model.window(now)
        assert shown.state == model.state
        assert shown.generation == model.generation
        assert shown.calls == len(recent)
        assert shown.failures == sum(e[1] for e in recent)
        assert shown.slow == sum(e[2] for e in recent)
        assert shown.consecutive == model.run()
        assert shown.probes == sum(ends > now for ends in model.leases.values())
        assert shown.probes <= 2
        assert (shown.observed, shown.broken) == (
            len(model.verdicts),
            sum(model.verdicts),
        )
        assert math.isclose(shown.evidence * 40.0, model.evidence(), abs_tol=1e-9)
        assert shown.published == (not model.dirty)

    @invariant()
    def one_event_per_transition(self) -> None:
        assert len(self.events) == self.breaker.snapshot().generation - self.booted
        for before, event in zip(self.events, self.events[1:], strict=False):
            assert before.new == event.old
            assert before.generation + 1 == event.generation
        assert all(event.old != event.new for event in self.events)

    def admitted(self) -> bool:
        try:
            return self.breaker.acquire().probe
        except BreakerOpenError:
            return False

    def teardown(self) -> None:
        """Half-open never wedges: a place comes free when leases have run out."""
        if self.breaker.status is State.HALF_OPEN:
            self.clock.now += 4.0
            assert self.breaker.snapshot().retry_after == 0.0
            assert self.admitted()


@pytest.fixture
def against(make_clock: type[Any], make_store: type[Any]) -> Any:
    """Return a function that makes a machine class for a machine or breaker type."""

    def against(**attributes: Any) -> type[BreakerMachine]:
        attributes |= {"clock_type": make_clock, "store_type": make_store}
        return type("Chosen", (BreakerMachine,), attributes)

    return against
