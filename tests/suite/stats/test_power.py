"""Before money is spent: plans against scipy, and simulations of the decider."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llmguard.suite import Verdict
from llmguard.suite.stats import (
    Design,
    Rule,
    Scenario,
    expect_calls,
    fixed_plan,
    group_plan,
    power,
    scenarios_for,
)

SIX = [
    Rule(name=name, tolerate=low, unacceptable=high)
    for name, low, high in [
        ("schema", 0.005, 0.02),
        ("format", 0.01, 0.05),
        ("refusal", 0.05, 0.15),
        ("range", 0.01, 0.05),
        ("sentiment", 0.02, 0.08),
        ("length", 0.05, 0.12),
    ]
]
FORTY = Design(cases=40)
WORST = Rule(name="worst", tolerate=0.05, unacceptable=0.25, per_prompt=True)
PAIRED = Rule(name="paired", tolerate=0.0, unacceptable=0.05, relative=True)


@pytest.mark.parametrize(
    ("rates", "n"),
    [
        ((0.005, 0.02), 782),
        ((0.005, 0.05), 153),
        ((0.05, 0.1), 425),
        ((0.05, 0.25), 45),
    ],
)
def test_the_smallest_fixed_sample(rates: tuple[float, float], n: int) -> None:
    """It keeps both errors, and one call fewer does not, by scipy's binomial."""
    plan = fixed_plan(*rates, alpha=0.01, beta=0.05)
    assert n == plan.n

    def keeps(calls: int, critical: int) -> bool:
        false_block = stats.binom.sf(critical - 1, calls, rates[0])
        false_accept = stats.binom.cdf(critical - 1, calls, rates[1])
        return bool(false_block <= 0.01 and false_accept <= 0.05)

    assert keeps(plan.n, plan.critical)
    assert not any(keeps(n - 1, critical) for critical in range(1, 60))


@settings(deadline=None, max_examples=20)
@given(
    low=st.floats(0.003, 0.1),
    ratio=st.floats(2.0, 8.0),
    errors=st.sampled_from([(0.01, 0.05), (0.002, 0.05), (0.05, 0.2)]),
)
def test_a_group_plan_spends_no_more_than_it_has(
    low: float, ratio: float, errors: tuple[float, float]
) -> None:
    """Both error rates hold exactly at both edges."""
    alpha, beta = errors
    high = min(low * ratio, 0.9)
    most = 2 * fixed_plan(low, high, alpha=alpha, beta=beta).n
    plan = group_plan(low, high, alpha=alpha, beta=beta, most=most)
    _, blocked, _ = plan.expect(low)
    _, _, accepted = plan.expect(high)
    assert blocked <= alpha + 1e-9
    assert accepted <= beta + 1e-9


def test_group_plans_cost_what_is_published() -> None:
    """Five looks, 1,000 calls at most, 0.5 % against 2 %."""
    plan = group_plan(0.005, 0.02, alpha=0.01, beta=0.05)
    means = [round(plan.expect(rate)[0]) for rate in (0.0005, 0.005, 0.2)]
    assert [436, 613, 200] == means


@pytest.mark.parametrize(
    ("rates", "calls", "verdict"),
    [
        ({}, 300, Verdict.PROMOTE),
        ({"schema": 0.05}, 170, Verdict.BLOCK),
        ({"schema": 0.20}, 50, Verdict.BLOCK),
    ],
)
def test_the_suite_of_forty_prompts(
    rates: dict[str, float], calls: int, verdict: Verdict
) -> None:
    """Mean calls stay within what is promised, and nine in ten verdicts are right."""
    scenario = Scenario(name="s", rates=rates)
    found = expect_calls(SIX, scenario, FORTY, runs=40, seed=1)
    assert found.mean <= calls
    assert found.verdicts[verdict] >= 0.9
    assert found.median <= found.p90


def test_a_simulation_repeats_itself() -> None:
    """The same seed gives the same numbers, another one others."""
    clean = Scenario(name="clean")
    one, again, other = (
        expect_calls(SIX, clean, FORTY, runs=8, seed=seed) for seed in (3, 3, 4)
    )
    assert one == again != other


def test_relative_rules_ask_both_arms() -> None:
    """Twice the calls, unless the incumbent's answers are recorded."""
    scenario = Scenario(name="s", rates={"paired": 0.5})
    both = expect_calls([PAIRED], scenario, FORTY, runs=10)
    recorded = expect_calls([PAIRED], scenario, FORTY, runs=10, recorded=True)
    assert both.mean == 2 * recorded.mean


def test_a_cap_too_low_is_seen_beforehand() -> None:
    """A rule that no candidate can satisfy says so."""
    tight = replace(SIX[0], tolerate=0.0001, unacceptable=0.001)
    (found,) = power([tight], cases=40, cap=50, scenarios=()).rules
    assert found.accept_calls is None
    assert found.block_failures == 1  # one in 10,000 is not met on the first call


def test_what_a_suite_costs() -> None:
    """Closed forms, other plans and the ceiling, for one suite."""
    found = power([*SIX, WORST, PAIRED], cases=40, scenarios=())
    schema, worst, paired = found.rules[0], found.rules[6], found.rules[7]
    assert (2, 4000, 4000) == (found.arms, found.most_calls, found.fixed_calls)
    assert (200, 480, 120) == (
        schema.accept_calls,
        worst.accept_calls,
        paired.accept_calls,
    )
    assert schema.fixed is not None
    assert schema.group_calls is not None
    assert 200 < schema.group_calls < schema.fixed.n
    assert (None, None) == (worst.fixed, paired.group_calls)
    assert schema.single_prompt is None
    assert worst.single_prompt is not None
    assert 0.3 < worst.single_prompt < 0.4


def test_a_prompt_that_cannot_be_seen() -> None:
    """With three rounds not even a prompt that always fails is blocked."""
    found = power([WORST], cases=40, cap=3, n_min=3, scenarios=())
    assert found.rules[0].single_prompt == 1.0
    assert found.rules[0].block_failures is None


def test_the_usual_scenarios() -> None:
    """Clean, at the limits, and the tightest gating rule broken."""
    names = [s.name for s in scenarios_for([WORST, PAIRED, *SIX])]
    assert [
        "clean",
        "at every tolerance",
        "`schema` unacceptable",
        "`schema` fails 20 %",
    ] == names
    only = scenarios_for([PAIRED])
    assert {"paired": 0.02} == only[1].rates
    assert {"paired": pytest.approx(0.07)} == only[2].rates
    assert len(power([SIX[2]], cases=4, cap=3, runs=2).scenarios) == 4


def test_pending_rules_have_a_price_too() -> None:
    """They end a run when they are decided, though they give no verdict."""
    pending = replace(SIX[0], gating=False)
    (found,) = power([pending], cases=40, scenarios=()).rules
    assert (200, 2) == (found.accept_calls, found.block_failures)
    ended = expect_calls([pending], Scenario(name="s", icc=0.0), FORTY, runs=3)
    assert ended.verdicts[Verdict.UNDECIDED] == 1
    assert ended.mean < 2000


def test_a_rule_for_some_cases_calls_no_others_for_long() -> None:
    """Ten boundary cases of forty are asked on when the rest is done."""
    few = replace(SIX[2], name="few", cases=10)
    rules = [replace(SIX[2], unacceptable=0.5), few]
    clean = Scenario(name="s", rates={"few": 0.0, "refusal": 0.0}, icc=0.0)
    assert expect_calls(rules, clean, FORTY, runs=2).mean == 3 * 40


def test_a_rate_of_zero_is_accepted_at_the_first_chance() -> None:
    """Group plans know the two certain rates as well."""
    plan = group_plan(0.005, 0.02, alpha=0.01, beta=0.05)
    assert (400, 0, 1) == plan.expect(0.0)
    assert (200, 1, 0) == plan.expect(1.0)


def test_prompts_without_a_spread_are_alike() -> None:
    """A rate of zero, or no correlation, leaves every prompt the same."""
    for rates, icc in (({"schema": 0.0}, 0.3), ({"schema": 0.0}, 0.0)):
        clean = {rule.name: 0.0 for rule in SIX} | rates
        scenario = Scenario(name="s", rates=clean, icc=icc)
        assert expect_calls(SIX, scenario, FORTY, runs=2).mean == 200


def test_a_clean_version_has_no_bad_prompt() -> None:
    """Simulated prompts vary, but none of a clean version breaks a per-prompt rule."""
    found = expect_calls([SIX[0], WORST], Scenario(name="clean"), FORTY, runs=10)
    assert {Verdict.PROMOTE: 1.0} == {v: p for v, p in found.verdicts.items() if p}
