"""One shadow in one process: what it samples, what it may still spend, how it stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ...breaker import BreakerPolicy, BreakerRegistry
from ...clock import Clock
from ._counts import Counts
from ._options import ShadowOptions
from ._sample import MAX_STRATA, OTHER, fraction, share_of, stratum_of

if TYPE_CHECKING:
    from ...pins import Pin
    from ._compare import Comparing
    from ._lane import Lane

__all__ = ["LiveRun", "Reserve", "time_over"]

Reserve = Callable[[str, int], int]
"""Takes calls out of the store's budget of a run: `ShadowStore.reserve`."""

_HOUR: Final = 3600.0
_LONGEST_PAUSE: Final = 60.0
_BLOCK: Final = 20
# How it behaves is what is measured, so only failures of transport may open it.
_POLICY: Final = BreakerPolicy(behaviour=False)


def time_over(options: ShadowOptions, started_at: float, clock: Clock) -> str:
    """Return that a run's hours are over; empty while they are not."""
    hours = options.hours
    if hours is None or clock.time() < started_at + hours * _HOUR:
        return ""
    return f"its {hours:g} hours are over"


class LiveRun:
    """The process's part of a run; any thread may use it.

    Args:
        key: Id of the run; also what sampling is salted with.
        subject: Name of the route, or of the function.
        pin: The challenger.
        options: How it samples and what it may spend.
        started_at: Epoch seconds.
        clock: Where it reads the time.

    Attributes:
        counts: What has happened since the last exchange.
        lane: Where its draws are made; None until the first.
        comparing: What it has compared; None until it is opened.
        stored: Whether the store knows it.
        stopped: Why it stopped; empty while it runs.
        sampled: Requests sampled per stratum, by all processes at the last exchange
            and by this one since.
    """

    def __init__(
        self,
        key: str,
        *,
        subject: str,
        pin: Pin,
        options: ShadowOptions,
        started_at: float,
        clock: Clock,
    ) -> None:
        self.key = key
        self.subject = subject
        self.pin = pin
        self.options = options
        self.started_at = started_at
        self.clock = clock
        self.lane: Lane | None = None
        self.comparing: Comparing | None = None
        self.stored = False
        self.stopped = ""
        self.renew()

    def renew(self) -> None:
        """Start with nothing, as a forked child does: the rest is its parent's."""
        self._lock = threading.Lock()
        # Its holder may wait for the store, which callers in `stratum` must not.
        self._budget = threading.Lock()
        self._left = 0
        self._used = 0
        self._paused_until = 0.0
        self._strata: set[str] = set()
        self.sampled: dict[str, int] = {}
        self.counts = Counts()
        self.breakers = BreakerRegistry(clock=self.clock, policy=_POLICY)

    # --- sampling

    def stratum(self, labels: tuple[tuple[str, str], ...]) -> str:
        """Return the stratum of a call; beyond 50 of them `(other)`."""
        found = stratum_of(labels, self.options.by)
        if found in self._strata:
            return found
        with self._lock:
            if len(self._strata) >= MAX_STRATA:
                return OTHER
            self._strata.add(found)
        return found

    def wants(self, request_id: str, stratum: str) -> bool:
        """Tell whether a request is among the sampled."""
        so_far = self.sampled.get(stratum, 0)
        share = share_of(self.options, stratum, so_far)
        if fraction(request_id, self.key) >= share:
            return False
        self.sampled[stratum] = so_far + 1
        return True

    def learn(self, sampled: Mapping[str, int]) -> None:
        """Take in how many requests all processes have sampled of each stratum."""
        for stratum, n in sampled.items():
            self.sampled[stratum] = max(n, self.sampled.get(stratum, 0))

    def doubles(self, request_id: str) -> bool:
        """Tell whether a sampled request is drawn twice on both versions."""
        return fraction(request_id, f"{self.key}/double") < self.options.double

    # --- budget

    def stop(self, reason: str) -> None:
        """Stop sampling and drawing in this process; the exchange tells the others."""
        with self._lock:
            self.stopped = self.stopped or reason

    def due(self) -> str:
        """Return why it should stop by now; empty when nothing says so."""
        return time_over(self.options, self.started_at, self.clock)

    def take(self, calls: int, reserve: Reserve | None) -> bool:
        """Take calls out of the budget; a run whose budget is used up stops.

        Args:
            calls: How many, all of them or none.
            reserve: Takes more out of the store's budget; None where there is no
                store, so that this process has it all.
        """
        if self.options.max_calls is None:
            return True
        with self._budget:
            if self._left < calls:
                self._left += self._more(calls - self._left, reserve)
            if self._left >= calls:
                self._left -= calls
                return True
        self.stop(f"its budget of {self.options.max_calls} calls is used up")
        return False

    def _more(self, wanted: int, reserve: Reserve | None) -> int:
        limit = self.options.max_calls or 0
        # Blocks, so that the store is asked seldom; small ones of a small budget, so
        # that a process that is killed takes little of it along.
        block = max(wanted, min(_BLOCK, limit // 20))
        if reserve is not None:
            return reserve(self.key, block)
        granted = max(0, min(block, limit - self._used))
        self._used += granted
        return granted

    def give_back(self, calls: int = 0) -> int:
        """Return calls that were taken and not made; 0 hands out what is left.

        Args:
            calls: Calls that were not made after all.

        Returns:
            With `calls=0`: how many the store may have back.
        """
        with self._budget:
            if calls:
                self._left += calls
                return 0
            left, self._left = self._left, 0
            return left

    # --- patience

    def pause(self, seconds: float | None) -> None:
        """Leave the challenger alone: it said that it has too much to do."""
        wait = min(_LONGEST_PAUSE, max(1.0, seconds or 1.0))
        self._paused_until = self.clock.monotonic() + wait

    @property
    def paused(self) -> bool:
        """True while the challenger asks for patience."""
        return self.clock.monotonic() < self._paused_until
