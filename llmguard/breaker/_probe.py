"""How half-open decides: a sequential test of the probes, or a streak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .policy import BreakerPolicy

__all__ = ["ProbeTest", "Sprt", "Streak", "probe_test"]


class ProbeTest(Protocol):
    """Collects the verdicts of probes."""

    def vote(self, *, failed: bool) -> bool | None:
        """Count one probe; True closes, False opens again, None goes on."""
        ...

    def reset(self) -> None:
        """Start over."""
        ...


class Sprt:
    """Wald's sequential probability ratio test of two failure rates.

    A. Wald, "Sequential Tests of Statistical Hypotheses", Annals of Mathematical
    Statistics 16, 1945. `error` bounds both error probabilities, approximately.
    """

    __slots__ = ("_bad", "_bound", "_good", "_sum")

    def __init__(self, *, healthy: float, sick: float, error: float) -> None:
        self._bad = math.log(sick / healthy)
        self._good = math.log((1 - sick) / (1 - healthy))
        self._bound = math.log((1 - error) / error)
        self._sum = 0.0

    def reset(self) -> None:
        """Start over."""
        self._sum = 0.0

    def vote(self, *, failed: bool) -> bool | None:
        """Count one probe; True closes, False opens again, None goes on."""
        self._sum += self._bad if failed else self._good
        if abs(self._sum) < self._bound:
            return None
        return self._sum < 0


class Streak:
    """Closes after so many good probes in a row; the first bad one opens again."""

    __slots__ = ("_need", "_run")

    def __init__(self, need: int) -> None:
        self._need = need
        self._run = 0

    def reset(self) -> None:
        """Start over."""
        self._run = 0

    def vote(self, *, failed: bool) -> bool | None:
        """Count one probe; True closes, False opens again, None goes on."""
        if failed:
            return False
        self._run += 1
        return True if self._run >= self._need else None


def probe_test(policy: BreakerPolicy) -> ProbeTest:
    """Return the test that `policy.close_by` names."""
    if policy.close_by == "streak":
        return Streak(policy.streak)
    return Sprt(
        healthy=policy.healthy_rate,
        sick=policy.sick_rate,
        error=policy.probe_error,
    )
