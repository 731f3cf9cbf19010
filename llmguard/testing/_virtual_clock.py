"""A clock that moves only when told to, or by itself whenever somebody sleeps."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import threading
from collections.abc import Callable

from ..errors import ConfigError

__all__ = ["VirtualClock"]

_Waiter = tuple[float, int, Callable[[], None]]


class VirtualClock:
    """A `Clock` in virtual time, for tests that must not wait.

    Threads and tasks that sleep are woken by `advance()`, in the order of their due
    times. With `autojump` a sleep moves the clock itself and returns at once; use
    `run_virtual` where several tasks sleep at the same time.

    Args:
        start: First value of `monotonic()`, seconds.
        epoch: First value of `time()`, seconds since the epoch.
        autojump: Let `sleep()` and `asleep()` move the clock instead of waiting.
    """

    def __init__(
        self,
        *,
        start: float = 0.0,
        epoch: float = 1_750_000_000.0,
        autojump: bool = False,
    ) -> None:
        self.autojump = autojump
        self._lock = threading.Condition()
        self._now = start
        self._offset = epoch - start
        self._waiters: list[_Waiter] = []
        self._order = itertools.count()
        self._watchers: set[Callable[[], None]] = set()

    def __repr__(self) -> str:
        return f"VirtualClock({self._now!r}, autojump={self.autojump})"

    def monotonic(self) -> float:
        """Return virtual seconds; never steps back."""
        return self._now

    def time(self) -> float:
        """Return virtual seconds since the epoch."""
        return self._now + self._offset

    @property
    def sleeping(self) -> int:
        """How many sleepers wait for `advance()`."""
        with self._lock:
            return len(self._waiters)

    def advance(self, seconds: float) -> None:
        """Move time forward, waking everyone who is due, earliest first.

        Raises:
            ConfigError: `seconds` is negative or not finite.
        """
        if not (seconds >= 0 and math.isfinite(seconds)):
            raise ConfigError(
                f"`advance` takes seconds >= 0, not {seconds!r}; a monotonic clock "
                "never steps back (`step_wall` moves the wall clock alone)"
            )
        with self._lock:
            calls = self._due(self._now + seconds)
        for call in calls:
            call()

    def advance_to(self, when: float) -> None:
        """Move time to `when` unless it is already later; wakes who is due."""
        with self._lock:
            calls = self._due(when)
        for call in calls:
            call()

    def step_wall(self, seconds: float) -> None:
        """Step the wall clock alone, as an operator or NTP does; may be negative."""
        with self._lock:
            self._offset += seconds

    def wait_for_sleepers(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Block, in real time, until `count` threads or tasks sleep on this clock.

        Raises:
            TimeoutError: They did not within `timeout` real seconds.
        """
        with self._lock:
            if not self._lock.wait_for(lambda: len(self._waiters) >= count, timeout):
                raise TimeoutError(
                    f"{len(self._waiters)} of {count} sleepers after {timeout} s"
                )

    def sleep(self, seconds: float) -> None:
        """Block the calling thread until virtual time has moved on by `seconds`.

        Raises:
            ConfigError: `seconds` is not finite, and the clock jumps by itself.
        """
        if self.autojump:
            self.advance(max(0.0, seconds))
            return
        woken = threading.Event()
        self.call_later(seconds, woken.set)
        woken.wait()

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling task until virtual time has moved on by `seconds`.

        Raises:
            ConfigError: `seconds` is not finite, and the clock jumps by itself.
        """
        loop = asyncio.get_running_loop()
        if getattr(loop, "clock", None) is self:
            await asyncio.sleep(seconds)
        elif self.autojump:
            self.advance(max(0.0, seconds))
            await asyncio.sleep(0)
        else:
            await self._wait_in(loop, seconds)

    async def _wait_in(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        future = loop.create_future()

        def wake() -> None:
            # The loop may have been closed on a task that never finished sleeping.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_settle, future)

        cancel = self.call_later(seconds, wake)
        try:
            await future
        finally:
            cancel()

    def call_later(
        self, seconds: float, wake: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `wake` once virtual time has moved on; return how to cancel that.

        `wake` runs on the thread that advances the clock; it must not block.
        """
        waiter = (self._now + seconds, next(self._order), wake)
        with self._lock:
            if waiter[0] > self._now:
                heapq.heappush(self._waiters, waiter)
                self._lock.notify_all()
                return lambda: self._forget(waiter)
        wake()
        return lambda: None

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` after every move of the clock; return how to stop that."""
        with self._lock:
            self._watchers.add(changed)
        return lambda: self._watchers.discard(changed)

    def _due(self, when: float) -> list[Callable[[], None]]:
        """Set the time, under the lock; return what to call once it is released."""
        self._now = max(self._now, when)
        due: list[Callable[[], None]] = []
        while self._waiters and self._waiters[0][0] <= self._now:
            due.append(heapq.heappop(self._waiters)[2])
        return [*due, *self._watchers]

    def _forget(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
                heapq.heapify(self._waiters)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
