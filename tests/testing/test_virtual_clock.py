"""`VirtualClock` keeps time exactly, and only as told."""

from __future__ import annotations

import asyncio
import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.clock import Clock
from llmguard.errors import ConfigError
from llmguard.testing import VirtualClock

STEPS = st.lists(st.floats(0.0, 1e6), max_size=20)
DELAYS = st.lists(st.floats(0.001, 100.0), min_size=1, max_size=20)


def test_it_is_a_clock() -> None:
    """Everything that takes a `Clock` takes it."""
    assert isinstance(VirtualClock(), Clock)


@given(STEPS)
def test_time_is_the_sum_of_its_steps(steps: list[float]) -> None:
    """It starts at zero, never steps back, and loses nothing."""
    clock = VirtualClock()
    seen = [clock.monotonic()]
    for step in steps:
        clock.advance(step)
        seen.append(clock.monotonic())
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(math.fsum(steps))


@given(STEPS)
def test_the_wall_clock_keeps_its_distance(steps: list[float]) -> None:
    """Both clocks move together."""
    clock = VirtualClock(start=7.0, epoch=1000.0)
    for step in steps:
        clock.advance(step)
    assert clock.time() - clock.monotonic() == pytest.approx(993.0)


@given(st.floats(-1e6, 1e6))
def test_only_the_wall_clock_can_step(seconds: float) -> None:
    """An NTP correction leaves the monotonic clock alone."""
    clock = VirtualClock(epoch=0.0)
    clock.step_wall(seconds)
    assert (clock.time(), clock.monotonic()) == (seconds, 0.0)


@given(DELAYS, STEPS)
def test_callbacks_come_when_due_and_in_order(
    delays: list[float], steps: list[float]
) -> None:
    """Nobody is woken early, late, twice, or before somebody due earlier."""
    clock = VirtualClock()
    woken: list[float] = []
    for delay in delays:
        clock.call_later(delay, lambda delay=delay: woken.append(delay))
    for step in steps:
        clock.advance(step)
        assert woken == sorted(d for d in delays if d <= clock.monotonic())
    assert clock.sleeping == len(delays) - len(woken)


@given(DELAYS, st.data())
def test_a_cancelled_callback_never_comes(
    delays: list[float], data: st.DataObject
) -> None:
    """The others still do."""
    clock = VirtualClock()
    woken: list[int] = []
    cancels = [
        clock.call_later(delay, lambda i=i: woken.append(i))
        for i, delay in enumerate(delays)
    ]
    gone = data.draw(st.sets(st.integers(0, len(delays) - 1)))
    for i in gone:
        cancels[i]()
        cancels[i]()
    clock.advance(1000.0)
    assert sorted(woken) == [i for i in range(len(delays)) if i not in gone]


@given(DELAYS)
def test_autojump_adds_up_what_is_slept(delays: list[float]) -> None:
    """A sleep takes exactly its time, and none of ours."""
    clock = VirtualClock(autojump=True)
    for delay in delays:
        clock.sleep(delay)
    assert clock.monotonic() == pytest.approx(math.fsum(delays))


@given(DELAYS)
def test_autojump_works_for_tasks_too(delays: list[float]) -> None:
    """On an ordinary event loop, `asleep` jumps like `sleep`."""

    async def main() -> None:
        for delay in delays:
            await clock.asleep(delay)

    clock = VirtualClock(autojump=True)
    asyncio.run(main())
    assert clock.monotonic() == pytest.approx(math.fsum(delays))


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_time_moves_forward_by_finite_steps(seconds: float) -> None:
    """Anything else is a mistake in the test."""
    with pytest.raises(ConfigError, match="never steps back"):
        VirtualClock().advance(seconds)


def test_a_sleep_that_is_already_over_returns() -> None:
    """Zero and negative sleeps do not wait."""
    clock = VirtualClock()
    clock.sleep(0.0)
    clock.sleep(-1.0)
    assert clock.sleeping == 0


def test_threads_sleep_until_time_comes() -> None:
    """Three threads wake one after the other as time is moved."""
    clock = VirtualClock()
    woken: list[int] = []
    threads: list[threading.Thread] = []

    def nap(seconds: int) -> None:
        clock.sleep(seconds)
        woken.append(seconds)

    for seconds in (3, 1, 2):
        threads.append(threading.Thread(target=nap, args=(seconds,)))
        threads[-1].start()
    clock.wait_for_sleepers(3)
    for seconds, index in ((1, 1), (2, 2), (3, 0)):
        clock.advance(1)
        threads[index].join()
        assert woken[-1] == seconds


def test_threads_may_all_move_the_clock() -> None:
    """Concurrent steps all count."""
    clock = VirtualClock()

    def move() -> None:
        for _ in range(1000):
            clock.advance(1.0)

    threads = [threading.Thread(target=move) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic() == 4000.0


def test_waiting_for_sleepers_gives_up() -> None:
    """A test that forgot to sleep does not hang."""
    with pytest.raises(TimeoutError, match="0 of 1 sleepers"):
        VirtualClock().wait_for_sleepers(timeout=0.01)


def test_a_task_sleeps_until_another_thread_moves_the_clock() -> None:
    """`asleep` on an ordinary loop is woken from outside."""
    clock = VirtualClock()

    def move() -> None:
        clock.wait_for_sleepers()
        clock.advance(10.0)

    async def main() -> float:
        await asyncio.gather(clock.asleep(10.0), asyncio.to_thread(move))
        return clock.monotonic()

    assert asyncio.run(main()) == 10.0


def test_a_cancelled_task_sleeps_no_more() -> None:
    """It leaves no sleeper behind."""
    clock = VirtualClock()

    async def main() -> None:
        task = asyncio.create_task(clock.asleep(10.0))
        await asyncio.sleep(0)
        assert clock.sleeping == 1
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert clock.sleeping == 0
