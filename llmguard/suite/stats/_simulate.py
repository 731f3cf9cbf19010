"""Runs of a suite that never call a model: what the decider does under stated rates."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .._types import Verdict
from ._decider import Decider
from ._rule import Rule

__all__ = ["Design", "Expectation", "Scenario", "expect_calls"]

_CLEAN: Final = 1 / 3
"""A clean version fails at a third of what is tolerated."""

_Rates = list[tuple[float, float]]
_Truth = list[tuple[Rule, _Rates]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The settings of a decider, to make many of; see `Decider` for each."""

    cases: int
    alpha: float = 0.01
    beta: float = 0.05
    min_rounds: int = 3
    n_min: int = 10
    cap: int = 50

    def decider(self, rules: Sequence[Rule]) -> Decider:
        """Make one that has seen nothing."""
        return Decider(
            rules,
            cases=self.cases,
            alpha=self.alpha,
            beta=self.beta,
            min_rounds=self.min_rounds,
            n_min=self.n_min,
            cap=self.cap,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is true of the candidate in a simulated run.

    Attributes:
        name: For the report.
        rates: Failure rate of the candidate, by rule; rules left out are clean: a third
            of the tolerated rate, or the incumbent's own.
        incumbent: Failure rate of the incumbent under relative rules.
        icc: Correlation of two calls of one prompt, in [0, 1); prompts' rates are drawn
            from a beta distribution and scaled to the mean. 0.3 is mild: 0.47 to 0.76
            have been measured for correctness. Under a clean per-prompt rule all
            prompts are alike: a draw that makes one of them bad is not clean.
    """

    name: str
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    incumbent: float = 0.02
    icc: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How simulated runs of one scenario ended.

    Attributes:
        scenario: Its name.
        runs: How many were simulated.
        mean: Mean calls, both arms.
        median: Half of the runs used at most this many.
        p90: Nine in ten used at most this many.
        verdicts: Share of runs by verdict.
    """

    scenario: str
    runs: int
    mean: float
    median: int
    p90: int
    verdicts: Mapping[Verdict, float]


def expect_calls(
    rules: Sequence[Rule],
    scenario: Scenario,
    design: Design,
    *,
    runs: int = 40,
    seed: int = 0,
    recorded: bool = False,
) -> Expectation:
    """Simulate runs with the decider itself; the same seed gives the same answer.

    A rule with `cases=k` is taken to apply to the first k cases.

    Args:
        rules: The suite's rules.
        scenario: What is true.
        design: Cases and limits.
        runs: How many to simulate.
        seed: Of the simulation.
        recorded: The incumbent's answers come from a journal and cost no calls.
    """
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    ends = [_run(rules, scenario, design, rng, recorded) for _ in range(runs)]
    used = sorted(calls for calls, _ in ends)
    return Expectation(
        scenario=scenario.name,
        runs=runs,
        mean=sum(used) / runs,
        median=used[(runs - 1) // 2],
        p90=used[math.ceil(0.9 * runs) - 1],
        verdicts={
            one: sum(verdict is one for _, verdict in ends) / runs
            for one in (Verdict.PROMOTE, Verdict.BLOCK, Verdict.UNDECIDED)
        },
    )


def _run(
    rules: Sequence[Rule],
    scenario: Scenario,
    design: Design,
    rng: random.Random,
    recorded: bool,
) -> tuple[int, Verdict]:
    """Return the calls that one run took, and its verdict."""
    decider = design.decider(rules)
    truth = [(rule, _rates(rule, scenario, design.cases, rng)) for rule in rules]
    calls = 0
    while not decider.decided and decider.rounds < design.cap:
        order = [c for c in range(design.cases) if _needed(decider, truth, c)]
        if not order:
            break
        rng.shuffle(order)
        for case in order:
            paired = _call(decider, truth, case, rng)
            calls += 2 if paired and not recorded else 1
            if decider.decided:
                return calls, decider.verdict()
        decider.end_round()
    return calls, decider.verdict()


def _call(decider: Decider, truth: _Truth, case: int, rng: random.Random) -> bool:
    """Ask one case under all rules; tell whether the incumbent was asked too."""
    paired = False
    for rule, rates in truth:
        if case < len(rates):
            rate, base = rates[case]
            other = rng.random() < base if rule.relative else None
            paired = paired or rule.relative
            decider.feed(rule.name, str(case), rng.random() < rate, other)
    return paired


def _needed(decider: Decider, truth: _Truth, case: int) -> bool:
    return any(
        case < len(rates) and decider.needs(rule.name, str(case))
        for rule, rates in truth
    )


def _rates(rule: Rule, scenario: Scenario, cases: int, rng: random.Random) -> _Rates:
    """Draw the rates of candidate and incumbent on each case."""
    base = scenario.incumbent if rule.relative else 0.0
    clean = base if rule.relative else rule.tolerate * _CLEAN
    rate = scenario.rates.get(rule.name, clean)
    size = min(rule.cases or cases, cases)
    alike = rule.per_prompt and rule.name not in scenario.rates
    shape = _shape(rate or base, 0.0 if alike else scenario.icc, size, rng)
    return [(min(rate * x, 1.0), min(base * x, 1.0)) for x in shape]


def _shape(rate: float, icc: float, size: int, rng: random.Random) -> list[float]:
    """Draw prompts' rates relative to their mean."""
    if not (0 < rate < 1 and icc > 0):
        return [1.0] * size
    spread = 1 / icc - 1
    drawn = [rng.betavariate(rate * spread, (1 - rate) * spread) for _ in range(size)]
    mean = sum(drawn) / size
    # A draw that is all but zero has no shape: its prompts are alike.
    return [x / mean for x in drawn] if mean > rate / size / 10 else [1.0] * size
