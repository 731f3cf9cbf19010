"""When to try the same tier again, and how long to wait before it."""

from __future__ import annotations

import random
import threading
from typing import Final

from .._dataclass import dataclass
from ._forks import renew_after_fork

__all__ = ["RetryBudget", "RetryPolicy", "backoff"]

_DEPOSIT: Final = 0.2
_MINIMUM: Final = 3.0
_CAPACITY: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How tries within one tier are spaced.

    Attributes:
        base: Seconds; the first wait is drawn from [0, base].
        cap: Seconds; no wait is drawn from more than [0, cap].
    """

    base: float = 0.25
    cap: float = 2.0


def backoff(number: int, *, policy: RetryPolicy, rng: random.Random) -> float:
    """Return the seconds to wait after try `number` (1 for the first).

    Full jitter: uniform over [0, min(cap, base x 2^(number-1))], which spreads a
    fleet's retries best (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    return rng.uniform(0.0, min(policy.cap, policy.base * 2 ** (number - 1)))


class RetryBudget:
    """At most 20 % more calls through retries, plus three to start with.

    A token bucket (Finagle's and gRPC's retry budgets): every first try deposits 0.2
    tokens, every retry takes one. When a model is down, retries stop multiplying load.
    """

    __slots__ = ("__weakref__", "_lock", "_tokens")

    def __init__(self) -> None:
        self._tokens = _MINIMUM
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Take a fresh lock after a fork; the tokens stay."""
        self._lock = threading.Lock()

    def deposit(self) -> None:
        """Count one first try."""
        if self._tokens >= _CAPACITY:  # full, as it is while all goes well
            return
        with self._lock:
            self._tokens = min(_CAPACITY, self._tokens + _DEPOSIT)

    def withdraw(self) -> bool:
        """Take the right to retry once; False when the budget is spent."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
