"""Evidence about a mean by betting: paired differences, and the start of a round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ...errors import ConfigError
from ._beta import log_mean_exp

__all__ = ["EarlyBets", "PairedBetting", "stakes"]

_STAKES: Final = 6
_SMALLEST_STAKE: Final = 0.01
_LARGEST_STAKE: Final = 0.95
_EARLY_SHARE: Final = 0.25
_NEARLY_ONE: Final = 1e-12


@lru_cache(maxsize=256)
def stakes(smallest: float) -> tuple[float, ...]:
    """Return fractions of wealth to bet, evenly spaced on a logarithmic scale."""
    lowest = min(max(smallest, _SMALLEST_STAKE), 0.5)
    ratio = math.log(_LARGEST_STAKE / lowest) / (_STAKES - 1)
    return tuple(lowest * math.exp(i * ratio) for i in range(_STAKES))


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedBetting:
    """Two e-values for pairs of calls on the same prompt.

    D is 1 where only the candidate fails, -1 where only the incumbent does, else 0. A
    gambler who stakes the fraction l of the wealth that "E[D] <= d" leaves at risk
    multiplies it by 1 + l (D - d) / (1 + d); the e-value is the mean over a grid of
    such gamblers (Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B
    86, 2024). The mirror image bets against "E[D] >= d".

    Attributes:
        tolerate: The margin over the incumbent's rate that is fine, in [0, 1).
        unacceptable: The margin that is not, in (tolerate, 1].

    Raises:
        ConfigError: Not 0 <= `tolerate` < `unacceptable` <= 1.
    """

    tolerate: float
    unacceptable: float

    def __post_init__(self) -> None:
        if not 0 <= self.tolerate < self.unacceptable <= 1:
            raise ConfigError(
                f"the margins `tolerate` {self.tolerate!r} and `unacceptable` "
                f"{self.unacceptable!r} must satisfy 0 <= tolerate < unacceptable <= 1"
            )

    @property
    def grid(self) -> tuple[float, ...]:
        """The stakes: from twice the gap, right where half of all pairs differ."""
        return stakes(2 * (self.unacceptable - self.tolerate))

    def log_block(self, n: int, worse: int, better: int) -> float:
        """Return the logarithm of the e-value against "the margin is tolerable".

        Args:
            n: Pairs.
            worse: Pairs in which only the candidate failed.
            better: Pairs in which only the incumbent failed.
        """
        counts = (worse, better, n - worse - better)
        return _log_wealth(self.tolerate, self.grid, counts)

    def log_accept(self, n: int, worse: int, better: int) -> float:
        """Return the logarithm of the e-value against "the margin is unacceptable"."""
        edge = min(self.unacceptable, 1 - _NEARLY_ONE)
        counts = (better, worse, n - worse - better)
        return _log_wealth(-edge, self.grid, counts)


def _log_wealth(
    edge: float, grid: tuple[float, ...], counts: tuple[int, int, int]
) -> float:
    return log_mean_exp(
        [
            math.fsum(k * log for k, log in zip(counts, logs, strict=True))
            for logs in _pair_logs(edge, grid)
        ]
    )


@lru_cache(maxsize=256)
def _pair_logs(
    edge: float, grid: tuple[float, ...]
) -> tuple[tuple[float, float, float], ...]:
    return tuple(
        (
            math.log1p(stake * (1 - edge) / (1 + edge)),
            math.log1p(-stake),
            math.log1p(-stake * edge / (1 + edge)),
        )
        for stake in grid
    )


class EarlyBets:
    """Bets on the first calls of the first round, valid after every single call.

    A round draws its prompts without replacement, so the mean of those still to come
    is not the mean of all: after k calls it may be as large as (m mean - k low) /
    (m - k), namely when the prompts already drawn were the best. Betting against that
    bound is fair for the pessimist, whoever stops and whenever; it costs next to
    nothing while k is small against m. Bets are placed in the first quarter of the
    first round only: they alone rest on the order being random, and every further
    round would let an order that is not do more harm.

    Args:
        size: m, prompts in a round.
        mean: What the hypothesis says the mean is at most.
        low: The smallest outcome: 0 for failures, -1 for differences.
        grid: Fractions of the wealth to bet.
    """

    __slots__ = ("_grid", "_logs", "_low", "_mean", "_size", "_used")

    def __init__(
        self, *, size: int, mean: float, low: float, grid: Sequence[float]
    ) -> None:
        self._size, self._mean, self._low = size, mean, low
        self._grid = tuple(grid)
        self._logs = [0.0] * len(self._grid)
        self._used = 0

    def see(self, outcome: float | None) -> None:
        """Take the next call; None when it could not be judged."""
        used = self._used
        self._used += 1
        if outcome is None or used > self._size * _EARLY_SHARE:
            return
        bound = (self._size * self._mean - used * self._low) / (self._size - used)
        if bound < 1:
            gain = (outcome - bound) / (bound - self._low)
            won = _growth(gain, self._grid)
            self._logs = [log + more for log, more in zip(self._logs, won, strict=True)]

    def stop(self) -> None:
        """End the round, and with it the bets."""
        self._used = self._size

    @property
    def log_e(self) -> float:
        """The logarithm of the mean wealth."""
        return log_mean_exp(self._logs)


@lru_cache(maxsize=4096)
def _growth(gain: float, grid: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(math.log1p(stake * gain) for stake in grid)
