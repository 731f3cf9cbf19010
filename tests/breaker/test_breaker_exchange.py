"""Registries of several processes that share one store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard.breaker import (
    BreakerRegistry,
    State,
    VersionBreaker,
    command,
)
from llmguard.outcome import Kind
from llmguard.store.protocol import BreakerRow

Process = Callable[..., BreakerRegistry]
KEY = "f|p-1"


def pair(process: Process) -> tuple[Any, Any, VersionBreaker, VersionBreaker]:
    """Return two processes that have met, and their breakers of the same pin."""
    a, b = process(), process()
    first, second = a.get("f", "p-1"), b.get("f", "p-1")
    a.sync(), b.sync()
    return a, b, first, second


def due(
    process: Process, clock: Any
) -> tuple[Any, Any, VersionBreaker, VersionBreaker]:
    """Return two processes that both opened, at the end of that time."""
    a, b, first, second = pair(process)
    run(second, Kind.TRANSPORT, 5)
    run(first, Kind.TRANSPORT, 5)
    a.sync(), b.sync()
    clock.now += 15.0
    return a, b, first, second


def run(breaker: VersionBreaker, kind: Kind, n: int) -> None:
    for _ in range(n):
        breaker.record(breaker.acquire(), kind, elapsed=0.1)


def test_a_new_breaker_is_reported(process: Process, store: Any) -> None:
    """So that people can find its key; nothing is written again after that."""
    registry = process()
    registry.get("f", "p-1")
    registry.sync()
    registry.sync()
    assert [(r.key, r.state, r.rev) for r in store.list_breakers()] == [
        (KEY, "closed", 1)
    ]


def test_a_command_reaches_every_process_at_its_next_exchange(
    process: Process, store: Any
) -> None:
    """Forced open, then forced closed, then resumed."""
    a, b, first, second = pair(process)
    seen = []
    for verb in ("open", "close", "resume"):
        command(store, KEY, verb, actor="ana", reason=f"to {verb}")
        assert (a.sync(), b.sync()) == (True, True)
        seen.append((first.status.value, second.snapshot().reason))
    assert seen == [
        ("forced-open", "to open"),
        ("forced-closed", "to close"),
        ("closed", "to resume"),
    ]


def test_a_quarantine_is_stored_before_the_call_returns(
    process: Process, store: Any
) -> None:
    """A process that dies right after it leaves it behind."""
    registry = process()
    breaker = registry.get("f", "p-1")
    breaker.record(breaker.acquire(), Kind.WRONG_MODEL, detail="m-2 answered")
    assert store.rows[KEY].state == "quarantined"
    assert process().get("f", "p-1").status is State.QUARANTINED


def test_a_quarantine_is_told_again_when_the_store_was_down(
    process: Process, store: Any
) -> None:
    """The local view holds meanwhile, and the failures are counted."""
    registry = process()
    breaker = registry.get("f", "p-1")
    store.down = True
    breaker.quarantine("test")
    assert registry.sync() is False
    assert (registry.store_failures, breaker.status) == (2, State.QUARANTINED)
    assert "the store is down" in registry.last_store_error
    store.down = False
    assert (registry.sync(), store.rows[KEY].state) == (True, "quarantined")
    assert registry.last_sync == 1_700_000_000.0


def test_starting_without_the_store_learns_of_a_quarantine_later(
    process: Process, store: Any
) -> None:
    """At the first exchange that works."""
    process().get("f", "p-1").quarantine("test")
    store.down = True
    registry = process()
    breaker = registry.get("f", "p-1")
    assert breaker.status is State.CLOSED
    store.down = False
    registry.sync()
    assert breaker.status is State.QUARANTINED


def test_a_store_that_was_lost_is_told_again(process: Process, store: Any) -> None:
    """Every process republishes; a quarantine is not weakened by a closed one."""
    a, b, first, second = pair(process)
    second.quarantine("test")
    a.sync()
    late = process()
    store.lose()
    late.get("f", "p-1")
    assert (late.sync(), b.sync(), late.sync()) == (True, True, True)
    assert store.rows[KEY].state == "quarantined"
    assert late.get("f", "p-1").status is State.QUARANTINED
    store.lose()
    store.rows["other|p"] = BreakerRow(key="other|p", state="open", rev=1)
    store.rev = 77
    a.sync()
    assert store.rows[KEY].state == "quarantined"
    assert first.status is State.QUARANTINED
    store.rows[KEY] = BreakerRow(key=KEY, state="closed", rev=store.rows[KEY].rev)
    a.sync()
    assert store.rows[KEY].state == "quarantined"


def test_an_idle_process_opens_with_the_others(process: Process, clock: Any) -> None:
    """It has no evidence of its own, and probes when theirs is due."""
    a, b, first, second = pair(process)
    run(first, Kind.TRANSPORT, 5)
    a.sync(), b.sync()
    assert (second.status, second.snapshot().retry_after) == (State.OPEN, 15.0)
    clock.now += 15.0
    assert second.acquire().probe


def test_a_process_with_good_calls_does_not_open_with_the_others(
    process: Process,
) -> None:
    """One host with a broken network must not stop the fleet."""
    a, b, first, second = pair(process)
    run(second, Kind.OK, 20)
    run(first, Kind.TRANSPORT, 5)
    a.sync(), b.sync()
    assert (first.status, second.status) == (State.OPEN, State.CLOSED)


def test_recovery_closes_the_fleet(process: Process, clock: Any) -> None:
    """One process probes for all, also for those that had failures of their own."""
    a, b, first, second = pair(process)
    c = process()
    third = c.get("f", "p-1")
    run(third, Kind.TRANSPORT, 5)
    run(first, Kind.TRANSPORT, 5)
    a.sync(), b.sync(), c.sync()
    clock.now += 15.0
    run(first, Kind.OK, 15)
    assert first.status is State.CLOSED
    a.sync(), b.sync(), c.sync()
    assert (second.status, third.status) == (State.CLOSED, State.CLOSED)
    # Where only this process cannot get through, it opens again, for longer.
    run(third, Kind.TRANSPORT, 5)
    run(first, Kind.OK, 20)
    for _ in range(2):
        a.sync(), b.sync(), c.sync()
    assert (first.status, third.status) == (State.CLOSED, State.OPEN)
    assert 30.0 == third.snapshot().retry_after


def test_failures_after_a_recovery_elsewhere_count(
    process: Process, clock: Any
) -> None:
    """Who opened after the others' probes probes for itself."""
    a, b, first, second = pair(process)
    run(first, Kind.TRANSPORT, 5)
    a.sync()
    clock.now += 15.0
    run(first, Kind.OK, 15)
    a.sync()
    clock.now += 1.0
    run(second, Kind.TRANSPORT, 5)
    b.sync(), b.sync()
    assert (first.status, second.status) == (State.CLOSED, State.OPEN)


def test_probing_is_left_to_the_process_that_began(
    process: Process, clock: Any
) -> None:
    """Others wait one lease longer, and no more than that."""
    a, b, first, second = due(process, clock)
    first.acquire()
    a.sync(), b.sync()
    assert second.snapshot().retry_after == 30.0
    clock.now += 30.0
    assert second.acquire().probe


def test_probes_that_failed_between_two_looks_count(
    process: Process, clock: Any
) -> None:
    """Half-open came and went: what one process found holds for the others, too."""
    a, b, first, second = due(process, clock)
    run(first, Kind.TRANSPORT, 2)
    assert first.status is State.OPEN
    a.sync(), b.sync()
    left = second.snapshot().retry_after
    assert left is not None
    assert left >= 15.0
    clock.now += left
    assert second.acquire().probe


def test_half_open_elsewhere_is_open_for_a_newcomer(
    process: Process, clock: Any
) -> None:
    """A process that starts meanwhile does not flood the recovering version."""
    registry = process()
    breaker = registry.get("f", "p-1")
    breaker.trip("test")
    clock.now += 15.0
    breaker.acquire()
    registry.sync()
    assert process().get("f", "p-1").snapshot().retry_after == 30.0


def test_an_open_row_that_ran_out_is_history(process: Process, clock: Any) -> None:
    """A process that died open does not close the door for ever."""
    registry = process()
    registry.get("f", "p-1").trip("test")
    registry.sync()
    clock.now += 15.0
    late = process()
    assert late.get("f", "p-1").status is State.CLOSED


def test_a_writer_with_a_wrong_clock_is_bounded(
    process: Process, store: Any, clock: Any
) -> None:
    """`until` an hour ahead is at most the longest open period."""
    until = clock.time() + 3600.0
    store.put_breaker(BreakerRow(key=KEY, state="open", until=until))
    wait = process().get("f", "p-1").snapshot().retry_after
    assert wait == pytest.approx(360.0)


def test_an_unknown_state_is_left_alone(process: Process, store: Any) -> None:
    """A newer version may write one; this one keeps its own view."""
    a, _, first, _ = pair(process)
    store.put_breaker(BreakerRow(key=KEY, state="dormant", rev=1))
    assert a.sync()
    assert first.status is State.CLOSED


def test_a_release_and_a_new_trip_between_two_polls(
    process: Process, store: Any
) -> None:
    """Whoever slept through a release is not left in the quarantine."""
    a, b, first, second = pair(process)
    first.quarantine("test")
    b.sync()
    command(store, KEY, "resume", actor="ana")
    a.sync()
    run(first, Kind.TRANSPORT, 5)
    a.sync(), b.sync()
    assert second.status is State.OPEN


# What happened here, what a person or a process wrote first, who wins.
CONFLICTS = [
    ("quarantine", ("forced-closed", "ana"), State.FORCED_CLOSED),
    ("quarantine", ("forced-open", "ana"), State.QUARANTINED),
    ("quarantine", ("closed", "ana"), State.QUARANTINED),
    ("quarantine", ("open", "breaker"), State.QUARANTINED),
    ("force_open", ("quarantined", "breaker"), State.QUARANTINED),
    ("force_open", ("open", "breaker"), State.FORCED_OPEN),
    ("force_closed", ("quarantined", "breaker"), State.FORCED_CLOSED),
    ("release", ("open", "breaker"), State.CLOSED),
    ("trip", ("closed", "ana"), State.CLOSED),
    ("trip", ("closed", "breaker"), State.OPEN),
    ("trip", ("forced-open", "ana"), State.FORCED_OPEN),
]


@pytest.mark.parametrize(("here", "there", "winner"), CONFLICTS)
def test_who_wins_when_two_write_at_once(
    process: Process, store: Any, here: str, there: tuple[str, str], winner: State
) -> None:
    """Both sides, and a newcomer, end up where the stronger one went."""
    a, b, first, second = pair(process)
    if here == "release":
        first.force_open("before", "ana")
        a.sync(), b.sync()
    state, actor = there

    def interfere() -> None:
        row = store.rows[KEY]
        new = BreakerRow(key=KEY, state=state, until=2e9, rev=row.rev, actor=actor)
        assert store.put_breaker(new)

    store.before_put = interfere
    acts: dict[str, tuple[Any, ...]] = {
        "trip": ("test",),
        "quarantine": ("test",),
    }
    getattr(first, here)(*acts.get(here, ("test", "ben")))
    for registry in (a, b, a):
        registry.sync()
    assert (first.status, State(store.rows[KEY].state)) == (winner, winner)
    assert second.status is winner


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["trip", "quarantine", "open", "close", "resume", "sync"]),
    ),
    max_size=12,
)


@given(STEPS)
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_processes_agree_on_what_protects(
    make_clock: Any, make_store: Any, steps: list[tuple[str, str]]
) -> None:
    """After two rounds of exchange, forced and quarantined are the same everywhere."""
    clock, store = make_clock(), make_store()
    nodes = {
        n: BreakerRegistry(store=store, clock=clock, rng=lambda: 0.5) for n in "ab"
    }
    breakers = {name: node.get("f", "p-1") for name, node in nodes.items()}
    acts: dict[str, Callable[[str], object]] = {
        "trip": lambda n: breakers[n].trip("test"),
        "quarantine": lambda n: breakers[n].quarantine("test"),
        "open": lambda n: breakers[n].force_open("test", "ana"),
        "close": lambda n: breakers[n].force_closed("test", "ana"),
        "resume": lambda n: breakers[n].release("test", "ana"),
        "sync": lambda n: nodes[n].sync(),
    }
    for name, step in steps:
        clock.now += 1.0
        acts[step](name)
    for _ in range(3):
        for node in nodes.values():
            node.sync()
    protecting = {State.QUARANTINED, State.FORCED_OPEN, State.FORCED_CLOSED}
    shown = {b.status if b.status in protecting else None for b in breakers.values()}
    stored = State(store.rows[KEY].state)
    assert shown == {stored if stored in protecting else None}
    assert not any(b.unpublished for b in breakers.values())


def test_publishing_gives_up_for_now_when_others_keep_writing(
    process: Process, store: Any
) -> None:
    """The next exchange tries again."""
    a, _, first, _ = pair(process)

    class Busy:
        def __getattr__(self, name: str) -> Any:
            return (lambda _: None) if name == "put_breaker" else getattr(store, name)

    first.trip("test")
    a.attach(Busy())  # type: ignore[arg-type]  # - a store by duck type
    assert first.unpublished
    a.attach(store)
    assert (first.unpublished, store.rows[KEY].state) == (False, "open")
