"""Time as an argument: the clock that everything asks, and the real one."""

from __future__ import annotations

import time as _time
from typing import Protocol, runtime_checkable

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock", "age"]


@runtime_checkable
class Clock(Protocol):
    """Where llmguard reads the time; `llmguard.testing.VirtualClock` is another."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        ...

    def time(self) -> float:
        """Return seconds since the epoch, for records that people read."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        ...

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling task."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    monotonic = staticmethod(_time.monotonic)
    time = staticmethod(_time.time)

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""
        _time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Suspend the calling task."""
        import asyncio

        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Clock = SystemClock()
"""The one that is used unless another is given."""


def age(seconds: float) -> str:
    """Return a span as one unit: `4s`, `12m`, `3h`, `2d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
