"""An asyncio event loop in virtual time: `asyncio.timeout(30)` passes in no time."""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

from ._virtual_clock import VirtualClock

__all__ = ["VirtualEventLoop", "run_virtual", "virtual_loop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_IO_WAIT: Final = 0.02
_RESOLUTION: Final = time.get_clock_info("monotonic").resolution


class _VirtualSelector(selectors.DefaultSelector):
    """Asked to wait, it looks for events once and then moves the clock instead."""

    def __init__(self, clock: VirtualClock, *, io_wait: float) -> None:
        super().__init__()
        self._clock = clock
        self._io_wait = io_wait
        self.jobs = 0

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            self._nudge()
            return super().select(0)
        if timeout is None or self.jobs or not self._clock.autojump:
            # Real work is under way, or somebody else moves the clock: the loop is
            # woken by either, so time stands still until then.
            return super().select(None)
        # The loop's own wake-up pipe is always registered; more means sockets.
        wait = self._io_wait if len(self.get_map()) > 1 else 0.0
        ready = super().select(wait)
        if not ready:
            self._jump(timeout)
        return ready

    def _jump(self, timeout: float) -> None:
        self._clock.advance_to(self._clock.monotonic() + timeout)
        self._nudge()

    def _nudge(self) -> None:
        """Step over a rounding trap of late times.

        asyncio runs a timer when `time() + resolution` is past it. From 97 virtual
        days on that sum rounds back to `time()`, and a timer due exactly now would
        never run: move by the smallest step there is.
        """
        now = self._clock.monotonic()
        if self._clock.autojump and now + _RESOLUTION == now:
            self._clock.advance_to(math.nextafter(now, math.inf))


class VirtualEventLoop(asyncio.SelectorEventLoop):
    """A selector event loop whose timers follow a `VirtualClock`.

    With an `autojump` clock, time moves to the next timer whenever every task waits.
    Time stands still while a thread of `asyncio.to_thread` or `run_in_executor`
    works, and sockets get `io_wait` real seconds to become ready before time jumps.

    Args:
        clock: The clock to follow; a new one that jumps by itself unless given.
        io_wait: Real seconds a quiet socket is waited for before time jumps.
    """

    def __init__(
        self, clock: VirtualClock | None = None, *, io_wait: float = _IO_WAIT
    ) -> None:
        # Not `clock or ...`: the caller's clock is used whatever its truth value.
        self.clock = VirtualClock(autojump=True) if clock is None else clock
        self._virtual = _VirtualSelector(self.clock, io_wait=io_wait)
        super().__init__(self._virtual)
        self._unwatch = self.clock.watch(self._clock_moved)

    def time(self) -> float:
        """Return the virtual time, seconds."""
        return self.clock.monotonic()

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Ts], T],
        *args: *Ts,
    ) -> asyncio.Future[T]:
        """Run `func` on a thread; virtual time stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._virtual.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the base class's argument
    ) -> None:
        """Wait for the threads in real time; a virtual timeout would pass at once."""
        del timeout
        self._virtual.jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._virtual.jobs -= 1

    def close(self) -> None:
        """Close the loop and stop following the clock."""
        self._unwatch()
        super().close()

    def _job_done(self, _: asyncio.Future[Any]) -> None:
        self._virtual.jobs -= 1

    def _clock_moved(self) -> None:
        # The loop's own jumps need no waking up.
        if not self.is_closed() and _running_loop() is not self:
            self.call_soon_threadsafe(_nothing)


def virtual_loop(clock: VirtualClock | None = None) -> VirtualEventLoop:
    """Return a new event loop in virtual time; fits every `loop_factory` argument."""
    return VirtualEventLoop(clock)


def run_virtual(
    main: Coroutine[Any, Any, T], *, clock: VirtualClock | None = None
) -> T:
    """Run `main` to its end in virtual time, as `asyncio.run` does in real time.

    Args:
        main: The coroutine to run.
        clock: The clock to follow; a new one that jumps by itself unless given.

    Returns:
        What the coroutine returned.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(clock)) as runner:
        return runner.run(main)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _nothing() -> None:
    """Wake the loop so that it looks at its timers again."""
