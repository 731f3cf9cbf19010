"""A sequential change detector on contract failures, with bounded false trips.

The detector is a mixture of Shiryaev-Roberts e-detectors for Bernoulli data: Shin,
Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change
detection" (New England Journal of Statistics in Data Science, 2023; arXiv:2203.03532).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ..errors import ConfigError

__all__ = ["ALTERNATIVES", "EDetector", "upper_rate"]

ALTERNATIVES: Final = (0.05, 0.1, 0.2, 0.35, 0.5, 0.8)
"""Failure rates that the mixture looks for, by default."""

_BISECTIONS: Final = 60
_NEGLIGIBLE: Final = 1e-17
_LARGEST_EXPONENT: Final = 700.0


@lru_cache(maxsize=256)
def upper_rate(failures: int, calls: int, *, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a failure rate.

    It is the rate at which seeing `failures` or fewer of `calls` has probability
    1 - `confidence`; found by bisection on the exact binomial tail (Clopper and
    Pearson, Biometrika 26, 1934). No calls at all bound nothing: 1.0.

    Raises:
        ConfigError: `failures` is negative or more than `calls`.

    Examples:
        Nothing failed in 300 calls: the rate may still be one in a hundred.

        >>> from llmguard.breaker import upper_rate
        >>> round(upper_rate(0, 300), 4)
        0.0099
    """
    if not 0 <= failures <= calls:
        raise ConfigError(
            f"{failures!r} failures of {calls!r} calls cannot be; give the pair as "
            f"(failures, calls), for example `qualification=(3, 300)`"
        )
    if failures == calls:
        return 1.0
    low, high = failures / calls, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _at_most(failures, calls, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    """Return P(X <= k) for X ~ Binomial(n, p) with p >= k / n, where terms shrink."""
    log_term = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )
    term = total = math.exp(log_term)
    for i in range(k, 0, -1):
        term *= i * (1 - p) / ((n - i + 1) * p)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


class EDetector:
    """Says when the failure rate has risen above `p0`.

    Each component bets on one alternative rate and restarts at every call; evidence
    is the mean of the components. While the chance that a call fails, given the
    calls before it, is at most `p0`, evidence after n calls has mean at most n, so the
    mean number of calls to a false trip is at least `threshold`, whatever the
    dependence. After a shift to rate p it takes about
    ln(threshold) / KL(p, p0) calls.

    One instance is not safe to share between threads.

    Attributes:
        p0: The failure rate taken for normal.
        threshold: Evidence at which `update` returns True.
        calls: Calls since the last reset.
        fails: Failures among them.

    Raises:
        ConfigError: `p0` is not in (0, 1).
    """

    __slots__ = ("_bad", "_good", "_limit", "_wealth", "calls", "fails", "p0")

    def __init__(
        self,
        *,
        p0: float,
        threshold: float = 1e6,
        alternatives: Sequence[float] = ALTERNATIVES,
    ) -> None:
        if not 0 < p0 < 1:
            raise ConfigError(f"`p0` is {p0!r}; it must be in (0, 1)")
        # A grid that lies below p0 altogether still leaves something to look for.
        rates = [p for p in alternatives if p0 < p < 1] or [(1 + p0) / 2]
        self.p0 = p0
        self._bad = [p / p0 for p in rates]
        self._good = [(1 - p) / (1 - p0) for p in rates]
        self._limit = threshold * len(rates)
        self.reset()

    def reset(self) -> None:
        """Forget everything seen so far."""
        self._wealth = [0.0] * len(self._bad)
        self.calls = 0
        self.fails = 0

    @property
    def threshold(self) -> float:
        """Evidence at which `update` returns True."""
        return self._limit / len(self._bad)

    @property
    def evidence(self) -> float:
        """Current evidence; compare it with `threshold`."""
        return sum(self._wealth) / len(self._wealth)

    def update(self, *, failed: bool) -> bool:
        """Count one call; return True when evidence has reached the threshold."""
        self.calls += 1
        self.fails += failed
        ratios = self._bad if failed else self._good
        wealth = [(m + 1.0) * r for m, r in zip(self._wealth, ratios)]  # noqa: B905 - both have one entry per alternative, and `strict=` costs a third of the update
        self._wealth = wealth
        return sum(wealth) >= self._limit

    def update_batch(self, *, calls: int, fails: int) -> bool:
        """Count a batch, as pushed by another process; return True to trip.

        All restarts of the batch are placed at its start, which keeps the bound on
        false trips, in calls, for any batch size; a batch of one is `update`.

        Raises:
            ConfigError: `fails` is negative or more than `calls`.
        """
        if not 0 <= fails <= calls:
            raise ConfigError(
                f"{fails!r} failures of {calls!r} calls cannot be; give `fails` from 0 "
                "to `calls`"
            )
        self.calls += calls
        self.fails += fails
        for i, (bad, good) in enumerate(zip(self._bad, self._good, strict=True)):
            log_ratio = fails * math.log(bad) + (calls - fails) * math.log(good)
            # Beyond this the float overflows; the threshold is passed long before.
            ratio = math.exp(min(log_ratio, _LARGEST_EXPONENT))
            self._wealth[i] = (self._wealth[i] + calls) * ratio
        return sum(self._wealth) >= self._limit
