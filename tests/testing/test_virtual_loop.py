"""asyncio in virtual time: long waits are exact and cost nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.testing import VirtualClock, VirtualEventLoop, run_virtual, virtual_loop


async def now() -> float:
    """Return the running loop's time."""
    return asyncio.get_running_loop().time()


def test_a_long_timeout_passes_in_no_time() -> None:
    """Thirty virtual seconds to the end, exactly."""

    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.Event().wait()
        return await now()

    began = time.monotonic()
    assert run_virtual(main()) == 30.0
    assert time.monotonic() - began < 30.0


@given(
    st.lists(st.integers(0, 10**8).map(lambda ms: ms / 1000), min_size=1, max_size=20)
)
def test_tasks_wake_in_order_and_on_time(delays: list[float]) -> None:
    """Sleeping together takes as long as the longest sleep."""
    woken: list[tuple[float, float]] = []

    async def nap(delay: float) -> None:
        await asyncio.sleep(delay)
        woken.append((delay, await now()))

    async def main() -> float:
        await asyncio.gather(*map(nap, delays))
        return await now()

    assert run_virtual(main()) == pytest.approx(max(delays))
    assert [delay for delay, _ in woken] == sorted(delays)
    assert [at for _, at in woken] == pytest.approx(sorted(delays))


@given(st.floats(1.0, 1e12), st.floats(1e-6, 1.0))
def test_small_steps_far_from_zero_still_end(start: float, delay: float) -> None:
    """Rounding cannot make the loop spin."""

    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(delay)

    clock = VirtualClock(start=start, autojump=True)
    run_virtual(main(), clock=clock)
    assert clock.monotonic() >= start


def test_the_clocks_own_sleep_follows_the_loop() -> None:
    """`asleep` in two tasks overlaps instead of adding up."""
    clock = VirtualClock(autojump=True)

    async def main() -> None:
        await asyncio.gather(clock.asleep(10.0), clock.asleep(4.0))

    run_virtual(main(), clock=clock)
    assert clock.monotonic() == 10.0


def test_time_stands_still_while_a_thread_works() -> None:
    """A timeout does not fire on work that is under way."""

    async def main() -> tuple[str, float]:
        async with asyncio.timeout(0.001):
            text = await asyncio.to_thread(time.strftime, "%Y")
        return text, await now()

    text, at = run_virtual(main())
    assert (text, at) == (time.strftime("%Y"), 0.0)


def test_a_socket_is_heard_before_time_jumps() -> None:
    """Data on its way wins against a timer."""

    async def main() -> tuple[bytes, float]:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            loop = asyncio.get_running_loop()
            thread = threading.Thread(target=there.send, args=(b"x",))
            thread.start()
            async with asyncio.timeout(60.0):
                data = await loop.sock_recv(here, 1)
            thread.join()
            return data, await now()

    assert run_virtual(main()) == (b"x", 0.0)


def test_a_silent_socket_does_not_stop_time() -> None:
    """The timeout fires, in virtual time."""

    async def main() -> float:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(60.0):
                    await asyncio.get_running_loop().sock_recv(here, 1)
        return await now()

    assert run_virtual(main()) == 60.0


def test_somebody_else_may_move_the_clock() -> None:
    """Without autojump the loop waits for `advance`."""
    clock = VirtualClock()
    asleep = threading.Event()

    async def main() -> float:
        asyncio.get_running_loop().call_soon(asleep.set)
        await asyncio.sleep(5.0)
        return await now()

    def move() -> None:
        asleep.wait()
        clock.advance(3.0)
        clock.advance(4.0)

    thread = threading.Thread(target=move)
    thread.start()
    assert run_virtual(main(), clock=clock) == 7.0
    thread.join()


def test_it_fits_a_loop_factory() -> None:
    """`asyncio.Runner` and test plugins take `virtual_loop` as it is."""
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualEventLoop)
        runner.run(asyncio.sleep(3600.0))
        assert loop.clock.monotonic() == 3600.0


def test_a_closed_loop_follows_no_clock() -> None:
    """The clock outlives the loop."""
    clock = VirtualClock(autojump=True)
    run_virtual(asyncio.sleep(1.0), clock=clock)
    clock.advance(1.0)
    assert clock.monotonic() == 2.0
