"""Eight workers notice a version that misbehaves as soon as one process would."""

from __future__ import annotations

import pytest

from llmguard.breaker import (
    BreakerOpenError,
    BreakerPolicy,
    BreakerRegistry,
    State,
    VersionBreaker,
)
from llmguard.outcome import Kind

from .conftest import ManualClock, MemoryStore

POLICY = BreakerPolicy()
WORKERS = 8


@pytest.fixture
def fleet(clock: ManualClock) -> list[BreakerRegistry]:
    store = MemoryStore()
    workers = [BreakerRegistry(clock=clock) for _ in range(WORKERS)]
    for worker in workers:
        worker.get("f", "p-1", policy=POLICY)
        worker.attach(store)
    return workers


def breaker(worker: BreakerRegistry) -> VersionBreaker:
    return worker.get("f", "p-1", policy=POLICY)


def misbehave(fleet: list[BreakerRegistry], rounds: int) -> int:
    """Spread failing inputs over the fleet; return how many it took to quarantine."""
    for number in range(rounds):
        worker = fleet[number % len(fleet)]
        breaker(worker).observe(f"input-{number}", Kind.SCHEMA)
        if number % len(fleet) == len(fleet) - 1:
            for each in (*fleet, *fleet):
                each.sync()
        if all(breaker(each).status is State.QUARANTINED for each in fleet):
            return number + 1
    return rounds


def test_a_fleet_is_as_quick_as_one_process(fleet: list[BreakerRegistry]) -> None:
    """Every worker sees an eighth; together they need hardly more than one would."""
    alone = BreakerRegistry(clock=ManualClock())
    needed = misbehave([alone], 100)
    together = misbehave(fleet, 200)
    assert together <= needed + 2 * WORKERS
    assert all(breaker(each).status is State.QUARANTINED for each in fleet)


def test_good_behaviour_is_pooled_as_well(fleet: list[BreakerRegistry]) -> None:
    """Ten failures among a thousand good answers of others are nothing."""
    for number in range(1_000):
        kind = Kind.SCHEMA if number % 100 == 0 else Kind.OK
        breaker(fleet[number % WORKERS]).observe(f"input-{number}", kind)
        if number % 50 == 0:
            for each in fleet:
                each.sync()
    assert {State.CLOSED} == {breaker(each).status for each in fleet}
    for each in (*fleet, *fleet):
        each.sync()
    assert {1_000} == {breaker(each).snapshot().observed for each in fleet}
    assert {10} == {breaker(each).snapshot().broken for each in fleet}


def test_who_comes_later_does_not_count_the_past(
    fleet: list[BreakerRegistry], clock: ManualClock
) -> None:
    """A worker that starts again is not convinced by what was before it."""
    store = fleet[0]._store
    assert store is not None
    for number in range(3):
        breaker(fleet[0]).observe(f"input-{number}", Kind.SCHEMA)
    fleet[0].sync()
    late = BreakerRegistry(clock=clock)
    late.get("f", "p-1", policy=POLICY)
    late.attach(store)
    late.sync()
    assert 0 == breaker(late).snapshot().observed
    breaker(fleet[0]).observe("input-7", Kind.OK)
    fleet[0].sync()
    late.sync()
    assert 1 == breaker(late).snapshot().observed


def test_a_forked_child_counts_as_another_process(
    fleet: list[BreakerRegistry],
) -> None:
    """What its parent has seen is not told twice."""
    parent = fleet[0]
    breaker(parent).observe("input-1", Kind.OK)
    parent.sync()
    before = parent._pool._me
    parent.restart()
    breaker(parent).restart()
    assert before != parent._pool._me
    assert (0, 0) == breaker(parent).own_counts


def test_a_store_that_is_down_costs_nothing_but_the_pooling(
    fleet: list[BreakerRegistry],
) -> None:
    """What was seen meanwhile is told afterwards."""
    store = fleet[0]._store
    assert isinstance(store, MemoryStore)
    store.down = True
    breaker(fleet[0]).observe("input-1", Kind.SCHEMA)
    assert not fleet[0].sync()
    store.down = False
    assert fleet[0].sync()
    fleet[1].sync()
    assert 1 == breaker(fleet[1]).snapshot().broken


def _opened(clock: ManualClock, store: MemoryStore) -> list[BreakerRegistry]:
    """Return a fleet whose breakers are all open, and due for a probe."""
    workers = [BreakerRegistry(clock=clock) for _ in range(WORKERS)]
    for worker in workers:
        worker.attach(store, reserve=lambda: None)
        breaker(worker).trip("down")
        worker.sync()
    clock.now += POLICY.open_for * 2
    return workers


def _admitted(workers: list[BreakerRegistry], calls: int = 10) -> list[int]:
    """Return how many of `calls` each worker lets through."""
    counts: list[int] = []
    for worker in workers:
        counts.append(0)
        for _ in range(calls):
            try:
                breaker(worker).acquire()
            except BreakerOpenError:
                continue
            counts[-1] += 1
    return counts


def test_of_a_fleet_one_process_probes(clock: ManualClock) -> None:
    """Whose row the store took, with three places; the others wait for its finding."""
    workers = _opened(clock, MemoryStore())
    assert [0] * WORKERS == _admitted(workers)
    for worker in workers:
        worker.sync()
    states = [breaker(worker).status for worker in workers]
    assert 1 == states.count(State.HALF_OPEN)
    assert 3 == sum(_admitted(workers))
    clock.now += 1.0
    assert 0 == sum(_admitted(workers))


def test_nobody_probes_for_nobody(clock: ManualClock) -> None:
    """A process without calls leaves the probes to those that have some."""
    workers = _opened(clock, MemoryStore())
    for worker in workers:
        worker.sync()
    assert {State.OPEN} == {breaker(worker).status for worker in workers}
    _admitted(workers[5:6])
    for worker in workers:
        worker.sync()
    assert State.HALF_OPEN is breaker(workers[5]).status


def test_a_store_that_is_down_does_not_keep_a_breaker_open(clock: ManualClock) -> None:
    """Each process then probes by its own view."""
    store = MemoryStore()
    workers = _opened(clock, store)
    store.down = True
    for worker in workers:
        worker.sync()
    assert [3] * WORKERS == _admitted(workers)


def test_a_call_that_waits_for_a_probe_hurries_the_exchange(clock: ManualClock) -> None:
    """The next call need not wait for the next second."""
    store = MemoryStore()
    asked: list[int] = []
    worker = BreakerRegistry(clock=clock)
    worker.attach(store, reserve=lambda: asked.append(1))
    breaker(worker).trip("down")
    worker.sync()
    assert [0] == _admitted([worker], 3)
    assert [] == asked
    clock.now += POLICY.open_for * 2
    assert [0] == _admitted([worker], 1)
    assert [1] == asked
    worker.sync()
    assert [3] == _admitted([worker], 5)
    assert [1] == asked
