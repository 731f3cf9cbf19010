"""How often somebody may ask: token buckets, in this process's memory."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Final

from llmguard.clock import Clock

__all__ = ["Limiter"]

_KEYS: Final = 10_000
_MINUTE: Final = 60.0


class Limiter:
    """Lets each key through `per_minute` times a minute, in bursts up to that.

    Args:
        per_minute: Turns a minute.
        clock: Gives the monotonic time.
    """

    def __init__(self, per_minute: int, *, clock: Clock) -> None:
        self._full = float(per_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, *, take: bool = True) -> int:
        """Take a turn: 0 when there was one, else seconds until the next.

        Args:
            key: Whose turn.
            take: False only looks whether there is one.
        """
        now = self._clock.monotonic()
        with self._lock:
            left, at = self._left.pop(key, (self._full, now))
            left = min(self._full, left + (now - at) * self._full / _MINUTE)
            through = left >= 1.0
            self._left[key] = (left - 1.0 if through and take else left, now)
            # The least recently seen goes: it is the one most likely full again.
            while len(self._left) > _KEYS:
                self._left.popitem(last=False)
        if through:
            return 0
        return max(1, math.ceil((1.0 - left) * _MINUTE / self._full))

    def forget(self, key: str) -> None:
        """Give a key all its turns back."""
        with self._lock:
            self._left.pop(key, None)
