"""Before money is spent: how many calls a suite takes, and what it can see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ._claim import Claim
from ._plans import FixedPlan, fixed_plan, group_plan
from ._rule import Rule, Tally
from ._simulate import Design, Expectation, Scenario, expect_calls

__all__ = ["Power", "RulePower", "power", "scenarios_for"]

_BISECTIONS: Final = 30
_SEEN: Final = 0.9
_REPEATS: Final = 50
_GROUP_GROWTH: Final = 1.3
_INCUMBENT: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePower:
    """One rule's minima and what other plans would cost.

    Attributes:
        rule: The rule.
        accept_calls: Calls of a candidate that never fails until it is accepted; None
            when the cap comes first, so that the rule can never be accepted.
        block_failures: Calls of a candidate that always fails (on one prompt, for
            rules about single prompts) until it is blocked; None when the cap is first.
        fixed: The smallest fixed sample with the same error rates; None for relative
            rules and rules about single prompts.
        group_calls: Mean calls of a group-sequential plan with five looks, at most 1.3
            times as large as the fixed one, at the tolerated rate; None likewise.
        single_prompt: Failure rate of one prompt, all others clean, that is blocked
            with probability 0.9 before the cap; None unless the rule is about single
            prompts, and 1.0 when even that is not.
    """

    rule: Rule
    accept_calls: int | None
    block_failures: int | None
    fixed: FixedPlan | None
    group_calls: float | None
    single_prompt: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a suite costs and sees.

    Attributes:
        cases: Cases of the suite.
        arms: 2 when the incumbent is asked beside the candidate.
        most_calls: Calls if nothing is decided before the cap.
        fixed_calls: Calls of the plan "ask every prompt 50 times".
        rules: Per rule.
        scenarios: Simulated runs.
    """

    cases: int
    arms: int
    most_calls: int
    fixed_calls: int
    rules: tuple[RulePower, ...]
    scenarios: tuple[Expectation, ...]


def scenarios_for(rules: Sequence[Rule], *, icc: float = 0.3) -> tuple[Scenario, ...]:
    """Return the scenarios worth knowing: clean, at the limits, and broken.

    The broken ones break the gating rule with the smallest gap between its rates.
    """
    fixed = [rule for rule in rules if rule.gating and not rule.per_prompt] or [*rules]
    tight = min(fixed, key=lambda rule: rule.unacceptable - rule.tolerate)
    base = _INCUMBENT if tight.relative else 0.0
    limits = {
        rule.name: rule.tolerate + (_INCUMBENT if rule.relative else 0.0)
        for rule in rules
        if not rule.per_prompt
    }
    broken = {
        f"`{tight.name}` unacceptable": tight.unacceptable + base,
        f"`{tight.name}` fails 20 %": 0.2,
    }
    return (
        Scenario(name="clean", icc=icc),
        Scenario(name="at every tolerance", rates=limits, icc=icc),
        *(
            Scenario(name=name, rates={tight.name: min(rate, 1.0)}, icc=icc)
            for name, rate in broken.items()
        ),
    )


def power(
    rules: Sequence[Rule],
    *,
    cases: int,
    alpha: float = 0.01,
    beta: float = 0.05,
    min_rounds: int = 3,
    n_min: int = 10,
    cap: int = 50,
    scenarios: Sequence[Scenario] | None = None,
    runs: int = 40,
    seed: int = 0,
    recorded: bool = False,
) -> Power:
    """Return calls needed and rates detectable, by closed form and simulation.

    Args:
        rules: The suite's rules.
        cases: Number of cases.
        alpha: Chance of a false block, of the suite.
        beta: Chance of a false acceptance, of each rule.
        min_rounds: As for `Decider`.
        n_min: As for `Decider`.
        cap: As for `Decider`.
        scenarios: Truths to simulate; by default those of `scenarios_for`.
        runs: Simulated runs of each; 40 of six rules take about a second.
        seed: Of the simulation.
        recorded: The incumbent's answers come from a journal and cost no calls.
    """
    design = Design(
        cases=cases,
        alpha=alpha,
        beta=beta,
        min_rounds=min_rounds,
        n_min=n_min,
        cap=cap,
    )
    family = max(sum(rule.gating for rule in rules), 1)
    arms = 2 if any(rule.relative for rule in rules) and not recorded else 1
    return Power(
        cases=cases,
        arms=arms,
        most_calls=arms * cap * cases,
        fixed_calls=arms * _REPEATS * cases,
        rules=tuple(
            _rule_power(rule, replace(design, alpha=alpha / family)) for rule in rules
        ),
        scenarios=tuple(
            expect_calls(rules, one, design, runs=runs, seed=seed, recorded=recorded)
            for one in (scenarios_for(rules) if scenarios is None else scenarios)
        ),
    )


def _rule_power(rule: Rule, design: Design) -> RulePower:
    fixed = group = None
    if not (rule.relative or rule.per_prompt):
        edges, errors = (rule.tolerate, rule.unacceptable), (design.alpha, design.beta)
        fixed = fixed_plan(*edges, alpha=errors[0], beta=errors[1])
        most = math.ceil(_GROUP_GROWTH * fixed.n)
        plan = group_plan(*edges, alpha=errors[0], beta=errors[1], most=most)
        group = plan.expect(rule.tolerate)[0]
    return RulePower(
        rule=rule,
        accept_calls=_accept_calls(rule, design),
        block_failures=_block_failures(rule, design),
        fixed=fixed,
        group_calls=group,
        single_prompt=_single_prompt(rule, design) if rule.per_prompt else None,
    )


def _accept_calls(rule: Rule, design: Design) -> int | None:
    """Count calls of a candidate that never fails."""
    decider, cases = design.decider([rule]), range(rule.cases or design.cases)
    calls = 0
    while decider.rounds < design.cap:
        for case in cases:
            calls += 1
            decider.feed(rule.name, str(case), False, False)
            if not decider.open:
                return calls
        decider.end_round()
        if not decider.open:
            return calls
    return None


def _block_failures(rule: Rule, design: Design) -> int | None:
    """Count calls of a candidate that always fails (on one prompt, if that counts)."""
    decider = design.decider([rule])
    cases = 1 if rule.per_prompt else rule.cases or design.cases
    for calls in range(design.cap * cases):
        decider.feed(rule.name, str(calls % cases), True, False)
        if not decider.open:
            return calls + 1
        if calls % cases == cases - 1:
            decider.end_round()
    return None


def _single_prompt(rule: Rule, design: Design) -> float:
    """Find the rate of one prompt that is blocked nine times in ten."""
    low, high = rule.tolerate, 1.0
    if _prompt_blocked(rule, design, high) < _SEEN:
        return 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        seen = _prompt_blocked(rule, design, middle) >= _SEEN
        low, high = (low, middle) if seen else (middle, high)
    return high


def _prompt_blocked(rule: Rule, design: Design, rate: float) -> float:
    """Return the exact chance that a prompt's own e-value blocks before the cap.

    A relative rule is taken against an incumbent that never fails there.
    """
    claim = Claim(rule)
    threshold = math.log((rule.cases or design.cases) / design.alpha)
    open_, blocked = {0: 1.0}, 0.0
    for n in range(1, design.cap + 1):
        grown: dict[int, float] = {}
        for failures, p in open_.items():
            grown[failures] = grown.get(failures, 0.0) + p * (1 - rate)
            grown[failures + 1] = grown.get(failures + 1, 0.0) + p * rate
        open_ = {}
        for failures, p in grown.items():
            if (
                claim.log_block(Tally(n=n, failures=failures, worse=failures))
                >= threshold
            ):
                blocked += p
            else:
                open_[failures] = p
    return blocked
