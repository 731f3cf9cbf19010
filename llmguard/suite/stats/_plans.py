"""What the same error rates cost by plans that look once, or a few times."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist
from typing import Final

from ._beta import log_tails

__all__ = [
    "FixedPlan",
    "GroupPlan",
    "fixed_plan",
    "group_plan",
]

_MOST: Final = 10_000_000
_NEGLIGIBLE: Final = 1e-12
_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPlan:
    """One look after `n` calls: block at `critical` failures or more, else accept."""

    n: int
    critical: int


def fixed_plan(
    tolerate: float, unacceptable: float, *, alpha: float, beta: float
) -> FixedPlan:
    """Return the smallest exact binomial plan with both error rates."""
    critical, plan = 0, FixedPlan(n=0, critical=0)
    while not plan.n or _reaches(plan.n, critical, tolerate) > alpha:
        critical += 1
        passes = partial(_passes, k=critical, p=unacceptable, beta=beta)
        plan = FixedPlan(n=_first(passes), critical=critical)
    return plan


def _passes(n: int, *, k: int, p: float, beta: float) -> bool:
    return _below(n, k, p) <= beta


def _reaches(n: int, k: int, p: float) -> float:
    """Return P(Binomial(n, p) >= k)."""
    return math.exp(log_tails(k, n - k + 1, p)[0]) if k <= n else 0.0


def _below(n: int, k: int, p: float) -> float:
    return math.exp(log_tails(k, n - k + 1, p)[1]) if k <= n else 1.0


def _first(holds: Callable[[int], bool]) -> int:
    """Return the smallest n at which a condition that then stays true holds."""
    high = 1
    while not holds(high) and high < _MOST:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """A few planned looks: at look k block at `block[k]` failures, accept at `accept`.

    `accept[k]` is -1 where not even zero failures suffice; what is undecided at the
    last look is undecided.
    """

    calls: tuple[int, ...]
    block: tuple[int, ...]
    accept: tuple[int, ...]

    def expect(self, rate: float) -> tuple[float, float, float]:
        """Return mean calls, P(block) and P(accept) at a true failure rate."""
        state, done, mean, ends = {0: 1.0}, 0, 0.0, [0.0, 0.0]
        looks = zip(self.calls, self.block, self.accept, strict=True)
        for calls, high, low in looks:
            state = _advance(state, calls - done, rate)
            done = calls
            blocked = sum(p for s, p in state.items() if s >= high)
            accepted = sum(p for s, p in state.items() if s <= low)
            mean += calls * (blocked + accepted)
            ends = [ends[0] + blocked, ends[1] + accepted]
            state = {s: p for s, p in state.items() if low < s < high}
        return mean + done * sum(state.values()), ends[0], ends[1]


def group_plan(
    tolerate: float,
    unacceptable: float,
    *,
    alpha: float,
    beta: float,
    looks: int = 5,
    most: int = 1000,
) -> GroupPlan:
    """Return an exact group-sequential plan with O'Brien-Fleming-like spending.

    The error spent by information fraction t is 2 - 2 Phi(z / sqrt(t)) (Lan and DeMets,
    Biometrika 70, 1983), for false blocks and false acceptances alike; bounds are the
    tightest whole numbers of failures that keep to it.

    Args:
        tolerate: Rate at which `alpha` is spent.
        unacceptable: Rate at which `beta` is spent.
        alpha: Chance of a false block.
        beta: Chance of a false acceptance.
        looks: Equally spaced.
        most: Calls at the last look.
    """
    calls = tuple(round(most * (k + 1) / looks) for k in range(looks))
    fine, broken = {0: 1.0}, {0: 1.0}
    spent_fine = spent_broken = 0.0
    block: list[int] = []
    accept: list[int] = []
    for k, n in enumerate(calls):
        step = n - (calls[k - 1] if k else 0)
        fine, broken = (
            _advance(fine, step, tolerate),
            _advance(broken, step, unacceptable),
        )
        share = n / most
        high, blocked = _from_above(fine, _spend(alpha, share) - spent_fine)
        low, accepted = _from_below(broken, _spend(beta, share) - spent_broken)
        low = min(low, high - 1)
        spent_fine, spent_broken = spent_fine + blocked, spent_broken + accepted
        block.append(high)
        accept.append(low)
        fine = {s: p for s, p in fine.items() if low < s < high}
        broken = {s: p for s, p in broken.items() if low < s < high}
    return GroupPlan(calls=calls, block=tuple(block), accept=tuple(accept))


def _spend(level: float, share: float) -> float:
    z = _NORMAL.inv_cdf(1 - level / 2)
    return 2 - 2 * _NORMAL.cdf(z / math.sqrt(share))


def _from_above(state: dict[int, float], budget: float) -> tuple[int, float]:
    """Return the smallest bound whose upper tail fits the budget, and the tail."""
    spent, bound = 0.0, max(state, default=0) + 1
    while bound > 0 and spent + state.get(bound - 1, 0.0) <= budget:
        bound -= 1
        spent += state.get(bound, 0.0)
    return bound, spent


def _from_below(state: dict[int, float], budget: float) -> tuple[int, float]:
    """Return the largest bound whose lower tail fits the budget, and the tail."""
    spent, bound = 0.0, -1
    while spent + state.get(bound + 1, 0.0) <= budget and bound < max(state, default=0):
        bound += 1
        spent += state.get(bound, 0.0)
    return bound, spent


def _advance(state: dict[int, float], calls: int, rate: float) -> dict[int, float]:
    """Return the distribution of failures after more calls."""
    steps = [(k, p) for k, p in _binomial(calls, rate) if p > _NEGLIGIBLE]
    grown: dict[int, float] = {}
    for failures, weight in state.items():
        for k, p in steps:
            grown[failures + k] = grown.get(failures + k, 0.0) + weight * p
    return grown


def _binomial(n: int, p: float) -> list[tuple[int, float]]:
    if not 0 < p < 1:
        return [(n if p else 0, 1.0)]
    whole = math.lgamma(n + 1)
    return [
        (
            k,
            math.exp(
                whole
                - math.lgamma(k + 1)
                - math.lgamma(n - k + 1)
                + k * math.log(p)
                + (n - k) * math.log1p(-p)
            ),
        )
        for k in range(n + 1)
    ]
