"""The whole traffic out of strata that were sampled at different shares.

A stratum of which half was sampled would count ten times as much as one of which a
twentieth was. So each is given the weight of its calls (post-stratification: Holt and
Smith, JRSS A 142, 1979; where every call of a stratum had the same chance it is the
estimator of Horvitz and Thompson with known stratum sizes). It needs how many calls
there were, not the chances, which change while a rare stratum is sampled more densely.

Intervals of strata are combined by their distances from the estimates (MOVER: Zou,
Huang and Zhang, Computational Statistics and Data Analysis 53, 2009), so that a
stratum in which nothing was seen keeps its uncertainty. One user may be in several
strata: the interval is widened by what groups of clusters show across them.

A request of weight w bets w times its stake, against the largest weight; the product
is an e-value against the mean of the traffic, by the concavity of the logarithm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from ..suite.stats._beta import log_mean_exp
from ..suite.stats._betting import stakes
from ._cell import Cell
from ._estimate import SMALLEST, Estimate, estimate, safety_of, variance_of
from ._rates import Rates, evidence_of, rates_of
from ._series import ESTIMANDS, STEPS, UNIT, Estimand, Series, Sizes
from ._tally import Tally

__all__ = ["OTHERS", "Whole"]

OTHERS: Final = "(other strata)"
Part = Literal["main", "register"]


class _Stratum(NamedTuple):
    weight: float
    sizes: Sizes
    series: Series


class Whole:
    """The traffic that a tally is a sample of.

    Args:
        tally: The counts.
        traffic: Calls by stratum; None or less than two strata for a sample of equal
            shares, which stands for its traffic as it is.

    Attributes:
        total: The sums over all strata, as sampled.
        shares: Share of the traffic by stratum; empty where nothing is weighted.
        unseen: Share of the traffic in strata of which nothing was compared.
    """

    def __init__(self, tally: Tally, traffic: Mapping[str, int] | None = None) -> None:
        self.total = tally.total()
        self.shares: Mapping[str, float] = {}
        self.unseen = 0.0
        self._cells = dict(tally.strata.kept)
        if tally.strata.dropped:
            self._cells[OTHERS] = tally.strata.rest
        if traffic and len(self._cells) > 1:
            self._weigh(traffic)

    def _weigh(self, traffic: Mapping[str, int]) -> None:
        calls = {
            name: max(traffic.get(name, 0), cell.sizes.of("raw"))
            for name, cell in self._cells.items()
        }
        others = sum(n for name, n in traffic.items() if name not in calls)
        if OTHERS in calls:
            calls[OTHERS] = max(others, calls[OTHERS])
            others = 0
        seen = {name: n for name, n in calls.items() if self._n(name)}
        whole = sum(calls.values()) + others
        if not seen or not whole:
            return
        self.unseen = 1 - sum(seen.values()) / whole
        self.shares = {name: n / whole for name, n in sorted(calls.items())}

    def _n(self, name: str) -> int:
        return self._cells[name].sizes.of("raw")

    def rates(self, part: Part) -> Rates:
        """Return the estimates for the traffic."""
        series = _series(self.total, part)
        if not self.shares:
            return rates_of(series, self.total.sizes)
        found = {name: self._estimate(name, part) for name in ESTIMANDS}
        # That nothing changed anywhere is refuted whatever the shares were.
        return Rates(**found, log_e=evidence_of(series, self.total.sizes))

    def safety(self, which: int, *, above: float) -> float:
        """Return the log e-value against "the traffic's mean is at least `above`".

        Args:
            which: 0 for the net, 1 for the excess.
            above: In (-1, 1).
        """
        if not self.shares:
            return safety_of(which, self.total.main, self.total.sizes, above=above)
        at = ESTIMANDS.index("net" if which == 0 else "excess")
        strata = list(self._strata(at, "main"))
        if not strata:
            return 0.0
        n = sum(one.sizes.n[at] for one in strata)
        weights = [one.weight * n / one.sizes.n[at] for one in strata]
        edge, most = -above, max(weights) * (1 - above)
        found = log_mean_exp(
            [
                math.fsum(
                    _bets(one, which, stake * weight / most, edge)
                    for one, weight in zip(strata, weights, strict=True)
                )
                for stake in stakes(SMALLEST)
            ]
        )
        totals = _grouped(strata, at, weights, edge)
        return min(found, _on_groups(totals)) if totals else found

    def _strata(self, at: int, part: Part) -> Iterator[_Stratum]:
        """Yield what was seen of an estimand, with weights that add up to one."""
        seen = {n: w for n, w in self.shares.items() if self._cells[n].sizes.n[at]}
        whole = math.fsum(seen.values())
        for name, weight in seen.items():
            cell = self._cells[name]
            yield _Stratum(weight / whole, cell.sizes, _series(cell, part))

    def _estimate(self, name: Estimand, part: Part) -> Estimate | None:
        at = ESTIMANDS.index(name)
        strata = list(self._strata(at, part))
        if not strata:
            return None
        value = below = above = 0.0
        for one in strata:
            found = estimate(name, one.series, one.sizes)
            if found is None:
                continue
            value += one.weight * found.value
            below += (one.weight * max(found.value - found.low, 0.0)) ** 2
            above += (one.weight * max(found.high - found.value, 0.0)) ** 2
        wider = _across(strata, at)
        least = -1.0 if name in {"net", "excess"} else 0.0
        return Estimate(
            value=value,
            low=max(value - wider * math.sqrt(below), least),
            high=min(value + wider * math.sqrt(above), 1.0),
            n=sum(one.sizes.n[at] for one in strata),
            groups=len(_groups(strata, at)),
        )


def _series(cell: Cell, part: Part) -> Series:
    return cell.main if part == "main" else cell.register


def _groups(strata: Sequence[_Stratum], at: int) -> set[int]:
    return {g for one in strata for g, row in one.sizes.groups.items() if row[at]}


def _across(strata: Sequence[_Stratum], at: int) -> float:
    """Return how much wider clusters that reach over strata make the interval."""
    groups = _groups(strata, at)
    if len(groups) < 2:  # noqa: PLR2004 - no variance of one
        return 1.0
    apart = 0.0
    off = dict.fromkeys(groups, 0.0)
    zero = [0] * len(ESTIMANDS)
    for one in strata:
        n = one.sizes.n[at]
        mean = one.series.sums[at] / UNIT / n
        apart += one.weight**2 * variance_of(at, mean, one.series, one.sizes)
        for group, row in one.sizes.groups.items():
            if row[at]:
                total = one.series.groups.get(group, zero)[at] / UNIT
                off[group] += one.weight * (total - mean * row[at]) / n
    together = math.fsum(x * x for x in off.values()) * len(groups) / (len(groups) - 1)
    return math.sqrt(max(together / apart, 1.0)) if apart > 0 else 1.0


def _bets(one: _Stratum, which: int, stake: float, edge: float) -> float:
    """Return the log wealth of a stratum's requests that bet against a high mean."""
    at = ESTIMANDS.index("net" if which == 0 else "excess")
    bets = one.series.bets[which]
    zeros = one.sizes.n[at] - sum(bets.values())
    return zeros * math.log1p(-stake * edge) + math.fsum(
        k * math.log1p(stake * (-step / STEPS - edge)) for step, k in bets.items()
    )


def _grouped(
    strata: Sequence[_Stratum], at: int, weights: Sequence[float], edge: float
) -> list[float]:
    """Return the totals of groups of clusters as shares of the largest possible."""
    zero = [0] * len(ESTIMANDS)
    totals: dict[int, float] = {}
    sizes: dict[int, float] = {}
    for one, weight in zip(strata, weights, strict=True):
        for group, row in one.sizes.groups.items():
            if row[at]:
                total = -one.series.groups.get(group, zero)[at] / UNIT - edge * row[at]
                totals[group] = totals.get(group, 0.0) + weight * total
                sizes[group] = sizes.get(group, 0.0) + weight * row[at]
    most = max(sizes.values(), default=0.0) * (1 + edge)
    return [total / most for total in totals.values()]


def _on_groups(shares: Sequence[float]) -> float:
    held = [max(share, -1.0) for share in shares]  # rounding
    return log_mean_exp(
        [math.fsum(math.log1p(stake * x) for x in held) for stake in stakes(SMALLEST)]
    )
