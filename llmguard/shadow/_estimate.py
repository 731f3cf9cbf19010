"""Rates with intervals, and evidence, out of the sums.

Intervals are at 95 %. A rate has Wilson's score interval at its effective number of
requests (Kish, Survey Sampling, 1965: n over the design effect). A difference has the
normal interval with Agresti and Min's two further observations (Statistics in Medicine
24, 2005), which keep it from collapsing when nothing was seen.

With clusters the variance is that of the ratio mean between groups: clusters are
hashed into at most 512 groups, each a union of whole clusters, hence independent of the
others (random groups; Wolter, Introduction to Variance Estimation, 2007, chapter 2).
Its memory does not grow with the number of users, and parts can be merged.

E-values bet on what single requests show (`_series`): with a stake l, a request of
value v multiplies the wealth by 1 + l (v - edge) / (1 + edge), fair when the mean is at
most `edge` (Waudby-Smith and Ramdas, JRSS B 86, 2024). They may be looked at any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from ..suite.stats import wilson
from ..suite.stats._beta import log_mean_exp
from ..suite.stats._betting import stakes
from ._series import ESTIMANDS, STEPS, UNIT, Estimand, Series, Sizes

__all__ = [
    "SMALLEST",
    "Estimate",
    "estimate",
    "log_wealth",
    "safety_of",
    "variance_of",
    "wealth_of",
]

_Z: Final = NormalDist().inv_cdf(0.975)
SMALLEST: Final = 0.04
"""The smallest stake: right for margins of two points where half of all differ."""
_PSEUDO: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A share, or a difference of shares, of requests.

    Attributes:
        value: The estimate.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n: Requests it rests on.
        groups: Groups of clusters behind the interval; 0 for independent requests.
    """

    value: float
    low: float
    high: float
    n: int
    groups: int = 0


def estimate(name: Estimand, series: Series, sizes: Sizes) -> Estimate | None:
    """Return one estimate; None when no request was drawn for it."""
    at = ESTIMANDS.index(name)
    n = sizes.n[at]
    if not n:
        return None
    mean = series.sums[at] / UNIT / n
    variance = variance_of(at, mean, series, sizes)
    groups = sum(1 for row in sizes.groups.values() if row[at])
    if name in {"net", "excess"}:
        low, high = _difference(mean, variance, n)
    else:
        low, high = _rate(mean, variance, n)
    return Estimate(value=mean, low=low, high=high, n=n, groups=groups)


def variance_of(at: int, mean: float, series: Series, sizes: Sizes) -> float:
    """Return the variance of a mean, between groups where there are clusters."""
    n = sizes.n[at]
    rows = [(g, row[at]) for g, row in sizes.groups.items() if row[at]]
    if len(rows) > 1:
        zero = [0] * len(ESTIMANDS)
        off = (series.groups.get(g, zero)[at] / UNIT - mean * m for g, m in rows)
        spread = math.fsum(d * d for d in off)
        return spread * len(rows) / (len(rows) - 1) / n**2
    return max(series.squares[at] / UNIT - n * mean * mean, 0.0) / n / max(n - 1, 1)


def _rate(mean: float, variance: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval for as many independent requests as these are worth."""
    inside = min(max(mean, 0.0), 1.0)
    worth = inside * (1 - inside) / variance if variance > 0 else float(n)
    return wilson_at(inside, min(max(worth, 1.0), float(n)))


def wilson_at(rate: float, n: float) -> tuple[float, float]:
    """Return Wilson's interval at a number of requests that need not be whole."""
    if n == round(n) and abs(rate * n - round(rate * n)) < 1e-9:  # noqa: PLR2004 - rounding
        return wilson(round(rate * n), round(n))
    grown = n + _Z * _Z
    middle = (rate * n + _Z * _Z / 2) / grown
    half = _Z * math.sqrt(n * rate * (1 - rate) + _Z * _Z / 4) / grown
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _difference(mean: float, variance: float, n: int) -> tuple[float, float]:
    """Return the normal interval with two further requests, one of which differs."""
    grown = n + _PSEUDO
    middle = mean * n / grown
    half = _Z * math.sqrt(variance * (n / grown) ** 2 + 1 / grown**2)
    return max(middle - half, -1.0), min(middle + half, 1.0)


def wealth_of(which: int, series: Series, sizes: Sizes, *, below: float = 0.0) -> float:
    """Return the log e-value against "the mean is at most `below`".

    With clusters, the smaller of the bet on requests and the bet on whole groups of
    clusters: requests of one user may go wrong together.

    Args:
        which: 0 for the net, 1 for the excess.
        series: The sums.
        sizes: Their numbers of requests.
        below: In (-1, 1).
    """
    return _wealth(which, series, sizes, edge=below, sign=1)


def safety_of(which: int, series: Series, sizes: Sizes, *, above: float) -> float:
    """Return the log e-value against "the mean is at least `above`": the mirror image.

    Args:
        which: 0 for the net, 1 for the excess.
        series: The sums.
        sizes: Their numbers of requests.
        above: In (-1, 1).
    """
    return _wealth(which, series, sizes, edge=-above, sign=-1)


def _wealth(
    which: int, series: Series, sizes: Sizes, *, edge: float, sign: int
) -> float:
    at = ESTIMANDS.index("net" if which == 0 else "excess")
    n = sizes.n[at]
    if not n:
        return 0.0
    counts = {sign * step: k for step, k in series.bets[which].items()}
    found = log_wealth(counts, n, edge=edge)
    rows = {g: row[at] for g, row in sizes.groups.items() if row[at]}
    if not rows:
        return found
    zero = [0] * len(ESTIMANDS)
    totals = [
        sign * series.groups.get(g, zero)[at] / UNIT - edge * m for g, m in rows.items()
    ]
    most = max(rows.values()) * (1 + edge)
    return min(found, _on_groups([total / most for total in totals]))


def _on_groups(shares: Sequence[float]) -> float:
    """Bet on the totals of groups, each as a share of what the largest could be."""
    held = [max(share, -1.0) for share in shares]  # rounding
    return log_mean_exp(
        [math.fsum(math.log1p(stake * x) for x in held) for stake in stakes(SMALLEST)]
    )


def log_wealth(counts: Mapping[int, int], n: int, *, edge: float = 0.0) -> float:
    """Return the log e-value of requests counted by quarters; the rest are at 0."""
    zeros = n - sum(counts.values())
    return log_mean_exp(
        [
            math.fsum(k * logs[step] for step, k in counts.items()) + zeros * logs[0]
            for logs in _logs(edge)
        ]
    )


@lru_cache(maxsize=64)
def _logs(edge: float) -> tuple[dict[int, float], ...]:
    values = {step: step / STEPS for step in range(-STEPS, STEPS + 1)}
    return tuple(
        {s: math.log1p(stake * (v - edge) / (1 + edge)) for s, v in values.items()}
        for stake in stakes(SMALLEST)
    )
