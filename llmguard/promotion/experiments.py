"""How the arms of an experiment, or a canary and the rest, compare.

The calls of one unit resemble each other, so intervals that take calls for independent
are a little short where few units make most of the calls; `units` says how many did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from ..pins.routing import ACTIVE
from ..store import ArmRow, Experiment, Store
from ..suite.stats import wilson
from ..telemetry.traffic import bin_edges
from ._gate_canary import Arm, difference

if TYPE_CHECKING:
    from ..pins import Pin
    from ..suite._prices import Price, Prices

__all__ = [
    "ArmReport",
    "Comparison",
    "Estimate",
    "ExperimentReport",
    "compare_arms",
    "quantile",
]

_FEW: Final = 30
_MILLION: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and the interval that it may lie in.

    Attributes:
        value: The figure as measured.
        low: Lower bound at the report's confidence.
        high: Upper bound.
        n: How many calls it rests on.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """One arm.

    Attributes:
        arm: Its name.
        pins: Ids of the pins that its calls were meant for.
        units: Units that met it, of those that are listed.
        calls: Calls that were assigned to it.
        diverted: Of these, calls that its breaker turned away; they are in no rate.
        failed: Of these, first attempts that got no answer at all.
        valid: Share of first answers that satisfied the contract; None of none.
        p50: Median latency of first answers, seconds.
        p95: 95th percentile of it.
        input_tokens: Per call that told them, re-asks included.
        output_tokens: As above.
        cost: US dollars per call; None where the price or the tokens are unknown.
        corrected: Share of answered calls that somebody corrected; None while no
            correction of any arm was reported.
    """

    arm: str
    pins: tuple[str, ...]
    units: int
    calls: int
    diverted: int
    failed: int
    valid: Estimate | None
    p50: Estimate | None
    p95: Estimate | None
    input_tokens: Estimate | None
    output_tokens: Estimate | None
    cost: Estimate | None
    corrected: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One arm against the first one.

    Attributes:
        arm: Its name.
        base: Name of the first one.
        valid: Its valid rate minus the base's; None where either has none.
        corrected: Its corrected rate minus the base's.
    """

    arm: str
    base: str
    valid: Estimate | None
    corrected: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport:
    """What is known of an experiment.

    Attributes:
        env: Environment.
        name: Name of the experiment, or `canary:PIN`.
        since: Epoch seconds from which calls count, to the hour; 0 for all.
        confidence: Of every interval, one by one.
        arms: The base first.
        comparisons: Every other arm against the base.
        switched: Listed units that met more than one arm.
        notes: What to keep in mind, one sentence each.
    """

    env: str
    name: str
    since: float
    confidence: float
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    switched: int
    notes: tuple[str, ...]


def compare_arms(
    *,
    store: Store,
    env: str,
    name: str,
    since: float = 0.0,
    confidence: float = 0.95,
    prices: Prices | None = None,
    pins: Mapping[str, Pin] | None = None,
) -> ExperimentReport:
    """Compare the arms of an experiment.

    Args:
        store: The store of the environment.
        env: Environment.
        name: Name of the experiment, or `canary:PIN`.
        since: Epoch seconds from which calls count, rounded down to the hour.
        confidence: Of each interval.
        prices: US dollars per token, for the cost.
        pins: By id, to find their prices.

    Raises:
        ConfigError: Nothing is known under that name, or the confidence is no share.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"`confidence` is {confidence!r}; give a share such as 0.95")
    rows = store.traffic.arms(env, name, since=since)
    history = store.experiments.history(env, name)
    if not rows and not history:
        raise ConfigError(
            f"no call of environment {env!r} met an experiment {name!r}; "
            "`llmguard experiment list` names those that there are"
        )
    units = store.traffic.exposed(env, name)
    told = any(row.measure == "corrected" for row in rows)
    made = _Reporter(confidence, prices, pins or {}, told=told)
    names = _order({row.arm for row in rows}, history)
    tables = {arm: _measures(rows, arm) for arm in names}
    arms = tuple(made.arm(arm, tables[arm], rows, units.get(arm, 0)) for arm in names)
    switched = store.traffic.switched(env, name)
    return ExperimentReport(
        env=env,
        name=name,
        since=since,
        confidence=confidence,
        arms=arms,
        comparisons=tuple(made.compare(names[0], arm, tables) for arm in names[1:]),
        switched=switched,
        notes=tuple(_notes(arms, switched)),
    )


def quantile(bins: Mapping[int, int], share: float, confidence: float) -> Estimate:
    """Return a quantile of latencies that were counted in bins.

    The interval is the distribution-free one of order statistics, with the normal
    approximation of the binomial ranks (Conover, Practical Nonparametric Statistics,
    3rd ed., 3.2), widened to the edges of the bins.

    Args:
        bins: Calls by the number of their bin; not empty.
        share: 0.5 for the median.
        confidence: Of the interval.
    """
    n = sum(bins.values())
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    half = z * math.sqrt(n * share * (1 - share))
    ranks = (
        max(1, math.ceil(n * share)),
        max(1, math.floor(n * share - half)),
        min(n, math.ceil(n * share + half) + 1),
    )
    middle, low, high = (_bin_at(bins, rank) for rank in ranks)
    return Estimate(
        value=math.sqrt(max(bin_edges(middle)[0], 1e-9) * bin_edges(middle)[1]),
        low=bin_edges(low)[0],
        high=bin_edges(high)[1],
        n=n,
    )


def _bin_at(bins: Mapping[int, int], rank: int) -> int:
    seen = 0
    for number in sorted(bins):
        seen += bins[number]
        if seen >= rank:
            return number
    return max(bins)


def _order(found: set[str], history: Sequence[Experiment]) -> list[str]:
    """Return the arms' names, the base first: as declared, or the active one."""
    declared = [arm.name for arm in history[-1].arms] if history else [ACTIVE]
    rest = sorted(found.difference(declared))
    return [name for name in declared if history or name in found] + rest


_Table = Mapping[str, tuple[int, float]]
"""Count and sum by measure."""


def _measures(rows: Sequence[ArmRow], arm: str) -> _Table:
    found: dict[str, tuple[int, float]] = {}
    for row in rows:
        if row.arm == arm:
            n, total = found.get(row.measure, (0, 0.0))
            found[row.measure] = (n + row.n, total + row.total)
    return found


def _count(table: _Table, measure: str) -> int:
    return table.get(measure, (0, 0.0))[0]


class _Reporter:
    def __init__(
        self,
        confidence: float,
        prices: Prices | None,
        pins: Mapping[str, Pin],
        *,
        told: bool,
    ) -> None:
        self.confidence, self.prices, self.pins = confidence, prices, pins
        self.told = told

    def arm(
        self, name: str, table: _Table, rows: Sequence[ArmRow], units: int
    ) -> ArmReport:
        ids = tuple(sorted({row.pin for row in rows if row.arm == name}))
        valid, judged = _judged(table)
        bins = {
            int(measure.partition(":")[2]): n
            for measure, (n, _) in table.items()
            if measure.startswith("latency:")
        }
        tokens = [self._mean(table, kind) for kind in ("input_tokens", "output_tokens")]
        return ArmReport(
            arm=name,
            pins=ids,
            units=units,
            calls=_count(table, "calls"),
            diverted=_count(table, "diverted"),
            failed=_count(table, "failed"),
            valid=self._rate(valid, judged),
            p50=quantile(bins, 0.5, self.confidence) if bins else None,
            p95=quantile(bins, 0.95, self.confidence) if bins else None,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            cost=_cost(self._price(ids), *tokens),
            corrected=self._rate(*self._fixed(table)),
        )

    def compare(self, base: str, arm: str, tables: Mapping[str, _Table]) -> Comparison:
        one, other = _judged(tables[base]), _judged(tables[arm])
        fixed = [self._fixed(tables[name]) for name in (base, arm)]
        return Comparison(
            arm=arm,
            base=base,
            valid=self._difference(one, other),
            corrected=self._difference(fixed[0], fixed[1]),
        )

    def _fixed(self, table: _Table) -> tuple[int, int]:
        answered = _count(table, "answered") if self.told else 0
        return _count(table, "corrected"), answered

    def _rate(self, hits: int, n: int) -> Estimate | None:
        if not n:
            return None
        low, high = wilson(min(hits, n), n, confidence=self.confidence)
        return Estimate(value=min(hits, n) / n, low=low, high=high, n=n)

    def _difference(
        self, base: tuple[int, int], other: tuple[int, int]
    ) -> Estimate | None:
        """Return the other's rate minus the base's (Newcombe 1998, method 10)."""
        if not (base[1] and other[1]):
            return None
        one, two = (
            Arm(valid=min(hits, n), broken=n - min(hits, n))
            for hits, n in (base, other)
        )
        low, high = difference(one, two, self.confidence)
        return Estimate(value=two.rate - one.rate, low=low, high=high, n=one.n + two.n)

    def _mean(self, table: _Table, measure: str) -> Estimate | None:
        """Return a mean with the interval of the central limit theorem."""
        n, total = table.get(measure, (0, 0.0))
        if not n:
            return None
        mean = total / n
        spread = max(0.0, table.get(f"{measure}_sq", (0, 0.0))[1] / n - mean * mean)
        z = NormalDist().inv_cdf((1 + self.confidence) / 2)
        half = z * math.sqrt(spread / n)
        return Estimate(value=mean, low=max(0.0, mean - half), high=mean + half, n=n)

    def _price(self, ids: tuple[str, ...]) -> Price | None:
        """Return the price of an arm's calls where it is one and known."""
        if self.prices is None or len(ids) != 1 or ids[0] not in self.pins:
            return None
        return self.prices.of(self.pins[ids[0]])


def _judged(table: _Table) -> tuple[int, int]:
    valid = _count(table, "valid")
    return valid, valid + _count(table, "invalid")


def _cost(
    price: Price | None, read: Estimate | None, written: Estimate | None
) -> Estimate | None:
    """Return US dollars per call; the bounds of both kinds of tokens add up."""
    if price is None or read is None or written is None:
        return None

    def dollars(tokens_in: float, tokens_out: float) -> float:
        total = price.input * tokens_in + price.output * tokens_out
        return price.call + total / _MILLION

    return Estimate(
        value=dollars(read.value, written.value),
        low=dollars(read.low, written.low),
        high=dollars(read.high, written.high),
        n=min(read.n, written.n),
    )


def _notes(arms: Sequence[ArmReport], switched: int) -> list[str]:
    notes: list[str] = []
    for arm in arms:
        n = arm.valid.n if arm.valid else 0
        if n < _FEW:
            notes.append(f"{arm.arm}: {n} judged answers say little; let it run")
        if arm.diverted:
            notes.append(
                f"{arm.arm}: its breaker turned {arm.diverted} calls away, which the "
                "active version answered; what it did meanwhile is unknown"
            )
        if len(arm.pins) > 1:
            notes.append(
                f"{arm.arm}: {len(arm.pins)} pins answered for it, since the active "
                "version changed: compare from then on with `--since`"
            )
    if switched:
        notes.append(
            f"{switched} units met more than one arm, since weights changed: what they "
            "did in the first one may have followed them"
        )
    return notes
