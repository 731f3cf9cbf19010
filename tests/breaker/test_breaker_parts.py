"""The small parts: the window, the probe tests, the memory of inputs, the policy."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.breaker import BreakerPolicy, State, VersionBreaker
from llmguard.breaker._events import Delivery
from llmguard.breaker._probe import Sprt, Streak
from llmguard.breaker._seen import SeenInputs
from llmguard.breaker._window import Window
from llmguard.errors import ConfigError
from llmguard.outcome import Kind

CALLS = st.lists(st.tuples(st.integers(0, 15), st.booleans(), st.booleans()))


@given(CALLS, st.sampled_from([30.0, 5.0]))
@settings(max_examples=300, deadline=None)
def test_the_window_counts_the_last_ten_buckets(
    calls: list[tuple[int, bool, bool]], seconds: float
) -> None:
    """Running sums equal a recount of everything in the last ten buckets."""
    window, now, log = Window(seconds), 0.0, []
    width = seconds / 10
    for pause, failed, slow in calls:
        now += pause * width / 4
        window.add(now, failed=failed, slow=slow)
        log.append((now // width, failed, slow))
        recent = [entry for entry in log if entry[0] > now // width - 10]
        assert (window.calls, window.failures, window.slow) == (
            len(recent),
            sum(entry[1] for entry in recent),
            sum(entry[2] for entry in recent),
        )


def test_the_window_forgets_when_nothing_happens() -> None:
    """Letting time pass empties it; clearing does so at once."""
    window = Window(30.0)
    window.add(100.0, failed=True, slow=True)
    window.roll(127.0)
    assert window.calls == 1
    window.roll(1e6)
    assert (window.calls, window.failures, window.slow) == (0, 0, 0)
    window.add(1e6, failed=False, slow=False)
    window.clear()
    assert window.calls == 0


def closes(test: Sprt, rate: float, rng: random.Random) -> tuple[bool, int]:
    test.reset()
    probes = 1
    while (verdict := test.vote(failed=rng.random() < rate)) is None:
        probes += 1
    return verdict, probes


# True failure rate, share that closes, mean probes.
@pytest.mark.parametrize(
    ("rate", "share", "probes"),
    [(0.01, 0.995, 17), (0.2, 0.048, 12), (0.5, 0.0, 4), (1.0, 0.0, 2)],
)
def test_half_open_decides_as_documented(
    rate: float, share: float, probes: float
) -> None:
    """The sequential test closes a healthy version and hardly ever a sick one."""
    rng, test = random.Random(5), Sprt(healthy=0.02, sick=0.2, error=0.05)
    runs = [closes(test, rate, rng) for _ in range(4000)]
    closed = sum(verdict for verdict, _ in runs) / len(runs)
    band = 3 * math.sqrt(share * (1 - share) / len(runs)) + 0.004
    assert closed == pytest.approx(share, abs=band)
    assert sum(n for _, n in runs) / len(runs) == pytest.approx(probes, rel=0.1)


def test_a_streak_needs_them_all() -> None:
    """Five good ones close; a bad one opens; a reset starts over."""
    test = Streak(3)
    assert [test.vote(failed=False) for _ in range(3)] == [None, None, True]
    assert test.vote(failed=True) is False
    test.reset()
    assert test.vote(failed=False) is None


def test_a_streak_can_close_half_open(
    make: Callable[..., VersionBreaker], clock: Any
) -> None:
    """`close_by='streak'` closes after so many good probes and not before."""
    breaker = make(close_by="streak", streak=3)
    breaker.trip("test")
    clock.now += 15.0
    states = []
    for _ in range(3):
        breaker.record(breaker.acquire(), Kind.OK)
        states.append(breaker.status)
    assert states == [State.HALF_OPEN, State.HALF_OPEN, State.CLOSED]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 8))))
@settings(deadline=None)
def test_inputs_count_once_while_remembered(events: list[tuple[str, int]]) -> None:
    """The memory equals a naive list of what was counted within the time."""
    seen, now = SeenInputs(size=4, seconds=20.0), 0.0
    counted: list[tuple[str, float]] = []
    for name, pause in events:
        now += pause
        counted = [entry for entry in counted if now - entry[1] < 20.0]
        new = name not in [entry[0] for entry in counted]
        if new:
            counted = [*counted, (name, now)][-4:]
        assert (seen.add(name, now), len(seen)) == (new, len(counted))


def test_no_memory_counts_every_input() -> None:
    """A size of nothing switches the memory off."""
    seen = SeenInputs(size=0, seconds=20.0)
    assert [seen.add("a", 0.0), seen.add("a", 0.0)] == [True, True]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"consecutive": 0}, "consecutive` is 0; it must be above 0"),
        ({"open_for": -1.0}, "open_for` is -1.0; it must be above 0"),
        ({"failure_rate": 1.0}, "failure_rate` is 1.0; it must be in"),
        ({"jitter": 1.0}, "jitter` is 1.0"),
        ({"remember_inputs": -1}, "remember_inputs` is -1"),
        ({"sick_rate": 0.01}, "above `healthy_rate`"),
        ({"close_by": "luck"}, "'sprt' or 'streak'"),
        ({"qualification": (5, 5)}, "better than all failed"),
    ],
)
def test_a_policy_refuses_what_cannot_work(options: Any, says: str) -> None:
    """Every refusal names the option, its value and what it must be."""
    with pytest.raises(ConfigError) as caught:
        BreakerPolicy(**options)
    assert says in str(caught.value)


def test_open_periods_double_up_to_the_cap_and_jitter() -> None:
    """15 s x 2**n, at most 5 min, spread over 80 % to 120 %."""
    policy = BreakerPolicy()
    middle = [policy.open_period(n, u=0.5) for n in (0, 1, 4, 5, 99)]
    assert middle == [15.0, 30.0, 240.0, 300.0, 300.0]
    ends = [policy.open_period(0, u=u) for u in (0.0, 1.0)]
    assert ends == pytest.approx([12.0, 18.0])


def test_more_detectors_share_the_false_trips() -> None:
    """K detectors on one version each wait for k times the evidence."""
    assert BreakerPolicy(detectors=3).threshold == 3e6


def test_delivery_keeps_the_order_and_outlives_errors() -> None:
    """Callbacks run in order; one that raises is counted and the next still runs."""
    events, ran = Delivery(), []
    events.put(ran.append, 1)
    events.put(lambda: 1 / 0)
    events.put(ran.append, 2)
    events.drain()
    assert (ran, events.errors) == ([1, 2], 1)
    assert events.last_error == "ZeroDivisionError('division by zero')"


def test_delivery_from_within_a_callback_comes_after_it() -> None:
    """An event that a callback causes waits until that callback is through."""
    events, ran = Delivery(), []

    def first() -> None:
        events.put(ran.append, "second")
        events.drain()
        ran.append("first")

    events.put(first)
    events.drain()
    assert ran == ["first", "second"]


def test_delivery_leaves_events_to_the_thread_that_delivers() -> None:
    """While one thread delivers, another one's event is delivered by the first."""
    events, ran = Delivery(), []
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        entered.set()
        go_on.wait()

    events.put(slow)
    worker = threading.Thread(target=events.drain)
    worker.start()
    entered.wait()
    events.put(lambda: ran.append(threading.get_ident()))
    events.drain()
    assert ran == []
    go_on.set()
    worker.join()
    assert ran == [worker.ident]


def test_an_interrupt_in_a_callback_passes_and_frees_the_queue() -> None:
    """KeyboardInterrupt is nobody's bug to swallow; the rest is delivered later."""
    events, ran = Delivery(), []

    def interrupt() -> None:
        raise KeyboardInterrupt

    events.put(interrupt)
    events.put(ran.append, 1)
    with pytest.raises(KeyboardInterrupt):
        events.drain()
    events.drain()
    assert (ran, events.errors) == ([1], 0)
