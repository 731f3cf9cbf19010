"""How many calls may be under way, given what the provider says of the rate.

Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does it: a 429
halves the window and stops every call for as long as `Retry-After` says; each call
that ends well opens it by its share of one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Self

from ..clock import Clock

__all__ = ["LONGEST", "Pace"]

_PATIENCE: Final = 1.0
"""Seconds to wait for after a 429 that names none."""
LONGEST: Final = 600.0
"""Seconds after a 429 that a run waits for; a quota of the day ends it instead."""


class Pace:
    """Admits calls; use it as `async with pace:` around each try.

    Args:
        limit: Calls that may be under way at once.
        clock: Where time comes from.
    """

    def __init__(self, limit: int, *, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._active = 0
        self._until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._begun = 0
        self._slowed = 0
        self.window = float(limit)
        self.throttled = 0

    async def __aenter__(self) -> Self:
        while True:
            pause = self._until - self._clock.monotonic() if self._until else 0.0
            if pause > 0:
                await self._clock.asleep(pause)
            elif self._active < int(self.window):
                self._active += 1
                return self
            else:
                await self._wait()

    async def __aexit__(self, *_exc: object) -> None:
        self._active -= 1
        self._wake()

    async def _wait(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done():
                self._wake()  # the place was given to one who has gone
            raise

    def _wake(self) -> None:
        free = int(self.window) - self._active
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1

    def ticket(self) -> int:
        """Return what `slow` is told of when a call began."""
        self._begun += 1
        return self._begun

    def good(self) -> None:
        """Note a call that was not throttled."""
        if self.window < self._limit:
            self.window = min(float(self._limit), self.window + 1.0 / self.window)
            self._wake()

    def slow(self, ticket: int, retry_after: float | None) -> None:
        """Note a 429; those of calls that began before the last cut cut no more."""
        self.throttled += 1
        wait = _PATIENCE if retry_after is None else min(retry_after, LONGEST)
        self._until = max(self._until, self._clock.monotonic() + wait)
        if ticket > self._slowed:
            self._slowed = self._begun
            self.window = max(1.0, self.window / 2)
