"""The pure machine, state by state: what it records for whoever asks why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmguard.breaker import BreakerPolicy, State
from llmguard.breaker._machine import Machine, Permit
from llmguard.outcome import Kind

Move = tuple[State, float]


@pytest.fixture
def moves() -> list[Move]:
    return []


@pytest.fixture
def make(moves: list[Move]) -> Callable[..., Machine]:
    def make(**policy: Any) -> Machine:
        return Machine(
            BreakerPolicy(**{"jitter": 0.0, **policy}),
            rng=lambda: 0.5,
            moved=lambda old, now: moves.append((old, now)),
        )

    return make


def settle(
    machine: Machine, kind: Kind, *, now: float = 0.0, seconds: float = 0.0
) -> None:
    permit = machine.admit(now, None)
    assert permit is not None
    machine.settle(permit, kind, seconds, now, "boom")


def where(machine: Machine) -> tuple[State, str, str, float, float, float]:
    """Return what a status command shows of it."""
    one = machine
    return one.state, one.reason, one.actor, one.since, one.until, one.hold


def test_a_new_one_has_nothing_to_tell(make: Callable[..., Machine]) -> None:
    """Closed since the beginning, by nobody, for no reason."""
    machine = make()
    assert (State.CLOSED, "", "breaker", 0.0, 0.0, 0.0) == where(machine)
    assert (0, 0, 0) == (machine.admitted, machine.rejected, machine.stale)
    assert (0, 0) == (machine.own_calls, machine.own_fails)
    permit = machine.admit(3.0, None)
    assert permit is not None
    assert (0, 0, 3.0, False, False) == (
        permit.generation,
        permit.era,
        permit.at,
        permit.probe,
        permit.done,
    )


TRANSITIONS = [
    ("force_open", State.FORCED_OPEN, {State.FORCED_OPEN, State.QUARANTINED}),
    ("force_closed", State.FORCED_CLOSED, {State.FORCED_CLOSED}),
    (
        "half_open",
        State.HALF_OPEN,
        set(State) - {State.CLOSED, State.OPEN},
    ),
    ("quarantine", State.QUARANTINED, {State.QUARANTINED}),
    ("release", State.CLOSED, {State.CLOSED}),
]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda one: one[0])
def test_what_a_person_does_is_recorded(
    transition: tuple[str, State, set[State]],
    state: State,
    make: Callable[..., Machine],
    moves: list[Move],
) -> None:
    """Who, why and since when; where nothing changes, nothing is recorded."""
    act, goal, stays = transition
    machine = make()
    machine.move(state, 1.0, "before", "bob")
    before, generation = where(machine), machine.generation
    done = getattr(machine, act)(7.0, "maintenance", "ann")
    assert (state not in stays) is done
    if not done:
        assert (before, generation) == (where(machine), machine.generation)
        return
    assert (goal, "maintenance", "ann", 7.0, 0.0, 0.0) == where(machine)
    assert [(State.CLOSED, 1.0), (state, 7.0)] == moves


def test_whoever_trips_it_is_named(make: Callable[..., Machine]) -> None:
    """A person may open it as the machine does, for as long."""
    machine = make(open_for=15.0)
    assert machine.trip(7.0, "maintenance", "ann")
    assert (State.OPEN, "maintenance", "ann", 7.0, 22.0, 0.0) == where(machine)


FACTS = [
    (False, State.QUARANTINED, "another version answered than the pin names: m-2"),
    (True, State.OPEN, "the provider does not know the pinned model: m-2"),
]


@pytest.mark.parametrize(("gone", "state", "reason"), FACTS)
def test_facts_are_recorded(
    gone: bool, state: State, reason: str, make: Callable[..., Machine]
) -> None:
    """One attempt is proof enough; late ones of an old generation are counted only."""
    machine = make()
    late = [machine.admit(0.0, None) for _ in range(3)]
    machine.fact(first(machine), 5.0, "m-2", gone=gone)
    assert (state, reason, "breaker", 5.0) == where(machine)[:4]
    for permit in late:
        assert permit is not None
        machine.fact(permit, 6.0, "m-3", gone=gone)
    assert (reason, 3) == (machine.reason, machine.stale)


def first(machine: Machine) -> Permit:
    permit = machine.admit(0.0, None)
    assert permit is not None
    return permit


@pytest.mark.parametrize("batch", [False, True])
def test_misbehaviour_is_recorded(
    batch: bool, make: Callable[..., Machine], moves: list[Move]
) -> None:
    """The count, what is normal, and when; what a person has forced is left alone."""
    machine = make(calls_per_false_trip=50.0)

    def watch(now: float) -> bool:
        if batch:
            return machine.observe_batch(calls=1, fails=1, now=now)
        return machine.observe(str(now), failed=True, now=now)

    machine.move(State.FORCED_CLOSED, 0.0, "test", "ann")
    assert not any(watch(now) for now in range(20))
    assert State.FORCED_CLOSED is machine.state
    machine.release(20.0, "", "ann")
    assert 50.0 == pytest.approx(machine.detector.threshold)
    told = [watch(now) for now in (21.0, 22.0)]
    assert [False, True] == told
    assert (
        State.QUARANTINED,
        "behaviour: 2 of 2 distinct inputs broke the contract; normal is at most 2.0%",
        "breaker",
        22.0,
    ) == where(machine)[:4]
    assert (State.CLOSED, 22.0) == moves[-1]
    assert not watch(23.0)


def test_own_verdicts_are_counted_for_the_pool(make: Callable[..., Machine]) -> None:
    """Each distinct input once, with those that failed."""
    machine = make()
    for name, failed in (("a", True), ("b", False), ("a", True), ("c", True)):
        assert not machine.observe(name, failed=failed, now=0.0)
    assert (3, 2) == (machine.own_calls, machine.own_fails)
    machine.configure(machine.policy)
    assert (0, 0) == (machine.own_calls, machine.own_fails)


def test_calls_are_counted_as_they_are_let_in_or_not(
    make: Callable[..., Machine],
) -> None:
    """Each admitted, turned away, or too late to count."""
    machine = make(probes=2, open_for=10.0)
    late = [first(machine) for _ in range(3)]
    machine.trip(0.0, "test")
    assert [None, None] == [machine.admit(1.0, None) for _ in range(2)]
    assert (3, 2) == (machine.admitted, machine.rejected)
    given = [machine.admit(10.0, None) for _ in range(4)]
    assert [True, True, False, False] == [one is not None for one in given]
    assert (5, 4) == (machine.admitted, machine.rejected)
    for permit in late:
        machine.settle(permit, Kind.TRANSPORT, 0.0, 11.0, "late")
    assert (3, State.HALF_OPEN) == (machine.stale, machine.state)
    assert (State.HALF_OPEN, "test", "breaker", 10.0) == where(machine)[:4]


def test_some_failures_are_no_outage(make: Callable[..., Machine]) -> None:
    """A quarter of calls fails, or is slow: below both shares it stays closed."""
    machine = make(min_calls=20, consecutive=9, failure_rate=0.5, slow_rate=0.5)
    for n in range(80):
        settle(machine, Kind.TRANSPORT if n % 4 == 0 else Kind.OK)
    assert State.CLOSED is machine.state
    machine = make(min_calls=20, slow_call=20.0, slow_rate=0.5)
    for n in range(80):
        settle(machine, Kind.OK, seconds=20.0 if n % 4 == 0 else 1.0)
    assert State.CLOSED is machine.state


def test_health_needs_enough_recent_calls(make: Callable[..., Machine]) -> None:
    """As many as the shares need, within the window, and neither share reached."""
    machine = make(min_calls=4, window=30.0, consecutive=9)
    for _ in range(3):
        settle(machine, Kind.OK, now=5.0)
    assert not machine.healthy(5.0)
    settle(machine, Kind.TRANSPORT, now=5.0)
    assert machine.healthy(5.0)
    assert not machine.healthy(100.0)
    machine.move(State.FORCED_CLOSED, 100.0, "test", "ann")
    for _ in range(8):
        settle(machine, Kind.TRANSPORT, now=101.0)
    assert not machine.healthy(101.0)


def half_opened(make: Callable[..., Machine], **policy: Any) -> Machine:
    machine = make(**{"close_by": "streak", "streak": 3, "probes": 1, **policy})
    assert machine.half_open(10.0, "look", "ann")
    return machine


def test_probes_tell_how_it_ended(make: Callable[..., Machine]) -> None:
    """Good ones are counted and close it; what the bad one said is in the reason."""
    machine = half_opened(make)
    for _ in range(2):
        settle(machine, Kind.OK, now=11.0)
    assert 2 == machine.probes_good
    settle(machine, Kind.OK, now=11.0)
    assert (State.CLOSED, "probes succeeded", "breaker", 11.0) == where(machine)[:4]
    machine = half_opened(make)
    settle(machine, Kind.TRANSPORT, now=12.0)
    assert (State.OPEN, "probes failed (last: boom)", "breaker") == where(machine)[:3]


def test_a_place_is_free_again_once_it_is_reported(
    make: Callable[..., Machine],
) -> None:
    """Or once its lease has ended; a report after that harms nobody."""
    machine = half_opened(make, probe_lease=30.0)
    slow = machine.admit(10.0, None)
    assert slow is not None
    assert slow.probe
    assert 30.0 == machine.retry_after(10.0)
    assert machine.admit(39.0, None) is None
    assert 0.0 == machine.retry_after(40.0)
    fresh = machine.admit(40.0, None)
    assert fresh is not None
    machine.settle(slow, Kind.OK, 1.0, 41.0, "")
    assert machine.admit(41.0, None) is None
    machine.settle(fresh, Kind.OK, 1.0, 41.0, "")
    assert machine.admit(41.0, None) is not None


def test_an_open_one_says_when_to_come_back(make: Callable[..., Machine]) -> None:
    """Not before the hold of another process; never in the past."""
    machine = make(open_for=10.0)
    machine.trip(0.0, "test")
    assert 10.0 == machine.retry_after(0.0)
    machine.hold = 25.0
    assert 5.0 == machine.retry_after(20.0)
    assert 0.0 == machine.retry_after(26.0)
    machine.release(26.0, "", "ann")
    assert 0.0 == machine.hold


def test_where_places_are_shared_none_is_taken_alone(
    make: Callable[..., Machine],
) -> None:
    """It says that it wants one, until it has moved."""
    machine = make(open_for=10.0)
    machine.reserves = True
    machine.trip(0.0, "test")
    assert machine.admit(9.0, None) is None
    assert not machine.wanted
    assert machine.admit(10.0, None) is None
    assert (True, State.OPEN) == (machine.wanted, machine.state)
    machine.half_open(11.0, "", "store")
    assert not machine.wanted


def test_eras_are_counted_at_what_people_and_proofs_do(
    make: Callable[..., Machine],
) -> None:
    """Behaviour evidence of an earlier era does not count in the next."""
    machine = make(open_for=1.0)
    machine.trip(0.0, "test")
    probe = machine.admit(1.0, None)
    assert probe is not None
    assert (0, 0) == (machine.era, probe.era)
    for count, act in enumerate(("quarantine", "release", "force_open"), start=1):
        assert getattr(machine, act)(2.0, "", "ann")
        assert count == machine.era
    machine.force_closed(3.0, "", "ann")
    assert 4 == first(machine).era
    machine.release(4.0, "", "ann")
    machine.half_open(5.0, "", "ann")
    probe = machine.admit(5.0, None)
    assert probe is not None
    assert 5 == probe.era


def test_back_off_starts_anew_after_a_release(make: Callable[..., Machine]) -> None:
    """And once it was closed for as long as it had been open, to the second."""
    machine = make(open_for=10.0, open_cap=1000.0)

    def trips(now: float) -> float:
        assert machine.trip(now, "test")
        return machine.until - now

    assert 10.0 == trips(0.0)
    machine.move(State.CLOSED, 10.0, "probes succeeded")
    assert 20.0 == trips(19.0)
    machine.move(State.CLOSED, 39.0, "probes succeeded")
    assert 10.0 == trips(59.0)
    machine.release(60.0, "", "ann")
    assert 10.0 == trips(60.0)
