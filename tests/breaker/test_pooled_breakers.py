"""Eight workers notice a version that misbehaves as soon as one process would."""

from __future__ import annotations

import pytest

from llmguard.breaker import BreakerPolicy, BreakerRegistry, State, VersionBreaker
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
