"""Intervals for reading; the decision never uses them."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Final

from ...errors import ConfigError

__all__ = ["clopper_pearson", "need_scipy", "paired_interval", "upper_bound", "wilson"]

_BISECTIONS: Final = 60


def clopper_pearson(
    failures: int, n: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the exact two-sided interval of a rate; (0, 1) of no calls at all.

    Clopper and Pearson, Biometrika 26 (1934). Calls of unequal prompts, equally often
    each, are spread less than the binomial (Hoeffding, Annals of Mathematical
    Statistics 27, 1956), so that it stays valid for the mean of a suite.

    Raises:
        ConfigError: scipy is missing, or the counts cannot be.
    """
    _check(failures, n)
    tail = (1 - confidence) / 2
    low = _quantile(failures, n - failures + 1, tail) if failures else 0.0
    high = _quantile(failures + 1, n - failures, 1 - tail) if failures < n else 1.0
    return low, high


def upper_bound(failures: int, n: int, *, confidence: float = 0.95) -> float:
    """Return the exact one-sided upper bound of a rate: 0 of 10 leave 26 % possible.

    Raises:
        ConfigError: scipy is missing, or the counts cannot be.
    """
    _check(failures, n)
    if failures == n:
        return 1.0
    return _quantile(failures + 1, n - failures, confidence)


def wilson(failures: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the score interval of a rate: shorter than the exact one, for display.

    Wilson, Journal of the American Statistical Association 22 (1927).

    Raises:
        ConfigError: The counts cannot be.
    """
    _check(failures, n)
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate, grown = failures / n, n + z * z
    middle = (failures + z * z / 2) / grown
    half = z * math.sqrt(n * rate * (1 - rate) + z * z / 4) / grown
    return max(middle - half, 0.0), min(middle + half, 1.0)


def paired_interval(
    n: int, worse: int, better: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the score interval of a difference of paired rates.

    Tango, Statistics in Medicine 17 (1998): the differences that a score test on the
    two discordant counts does not reject. Approximate, unlike the e-values; it keeps
    its level well for small counts, zeros included.

    Args:
        n: Pairs.
        worse: Pairs in which only the candidate failed.
        better: Pairs in which only the incumbent failed.
        confidence: In (0, 1).

    Returns:
        Bounds of candidate rate minus incumbent rate; (-1, 1) of no pairs at all.

    Raises:
        ConfigError: The counts cannot be.
    """
    _check(worse + better, n)
    if not n:
        return -1.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate = (worse - better) / n

    def score(difference: float) -> float:
        return _tango(n, worse, better, difference)

    return (
        _crossing(lambda d: score(d) > z, -1.0, estimate),
        _crossing(lambda d: score(d) >= -z, estimate, 1.0),
    )


def _tango(n: int, worse: int, better: int, difference: float) -> float:
    linear = -worse - better + (2 * n - worse + better) * difference
    constant = -better * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    only_better = (root - linear) / (4 * n)
    variance = n * (2 * only_better + difference * (1 - difference))
    distance = worse - better - n * difference
    if variance <= 0:
        return 0.0 if abs(distance) < 1e-9 else math.copysign(math.inf, distance)  # noqa: PLR2004 - rounding
    return distance / math.sqrt(variance)


def _crossing(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds at first stops to hold."""
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return (low + high) / 2


def _quantile(a: float, b: float, p: float) -> float:
    try:
        from scipy.special import (  # type: ignore[import-untyped]  # it has no stubs
            betaincinv,  # pyright: ignore[reportUnknownVariableType] - it has no stubs
        )
    except ImportError:
        raise ConfigError(
            "exact intervals need scipy: `pip install 'llmguard-toolkit[suite]'`"
        ) from None
    return float(betaincinv(a, b, p))


def need_scipy() -> None:
    """Raise the error of a report without scipy before a call is spent on it.

    Raises:
        ConfigError: scipy is missing.
    """
    _quantile(1.0, 1.0, 0.5)


def _check(failures: int, n: int) -> None:
    if not 0 <= failures <= n:
        raise ConfigError(
            f"{failures!r} failures of {n!r} calls cannot be; give counts with "
            "0 <= failures <= n"
        )
