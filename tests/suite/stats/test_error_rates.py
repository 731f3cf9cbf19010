"""Seeded simulations: wrong verdicts stay as rare as promised, right ones are common.

Levels are set to 10 % here, so that a few hundred runs would show a breach.
"""

from __future__ import annotations

import math
import random

import pytest

from llmguard.suite import Verdict
from llmguard.suite.stats import Decider, Rule

RUNS = 250
LEVEL = 0.1
ALLOWED = LEVEL + 3 * math.sqrt(LEVEL * (1 - LEVEL) / RUNS)
PROMPTS = 20


def _spread(rate: float, icc: float, rng: random.Random) -> list[float]:
    """Draw prompts' rates with a given correlation, their mean exactly `rate`."""
    if not icc:
        return [rate] * PROMPTS
    weight = 1 / icc - 1
    drawn = [
        rng.betavariate(rate * weight, (1 - rate) * weight) for _ in range(PROMPTS)
    ]
    while abs(gap := rate - sum(drawn) / PROMPTS) > 1e-12:
        room = [(1 - p if gap > 0 else p) for p in drawn]
        total = sum(room)
        drawn = [
            p + gap * PROMPTS * r / total for p, r in zip(drawn, room, strict=True)
        ]
    return drawn


def _hot(rate: float) -> list[float]:
    """One prompt carries all failures."""
    count, rest = divmod(rate * PROMPTS, 1)
    return [1.0] * int(count) + [rest] + [0.0] * (PROMPTS - int(count) - 1)


def _share(
    verdict: Verdict,
    rule: Rule,
    rates: list[list[float]],
    *,
    rounds: int = 12,
    level: float = LEVEL,
    base: float = 0.0,
) -> float:
    rng = random.Random(5)
    ended = 0
    for prompts in rates:
        decider = Decider([rule], cases=PROMPTS, alpha=level, beta=level, min_rounds=1)
        while decider.rounds < rounds and not decider.decided:
            order = rng.sample(range(PROMPTS), PROMPTS)
            for case in order:
                failed, other = rng.random() < prompts[case], rng.random() < base
                decider.feed(rule.name, str(case), failed, other)
            decider.end_round()
        ended += decider.verdict() is verdict
    return ended / len(rates)


@pytest.mark.parametrize("icc", [0.0, 0.3, 0.7])
def test_false_blocks_are_rare_however_prompts_differ(icc: float) -> None:
    """At the tolerated rate exactly, looking after every call."""
    rng = random.Random(7)
    rates = [_spread(0.05, icc, rng) for _ in range(RUNS)]
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.15)
    assert _share(Verdict.BLOCK, rule, rates) <= ALLOWED


def test_false_blocks_are_rare_with_one_hot_prompt() -> None:
    """All failures of the suite come from one prompt."""
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.15)
    assert _share(Verdict.BLOCK, rule, [_hot(0.05)] * RUNS) <= ALLOWED


@pytest.mark.parametrize("icc", [0.0, 0.3, 0.7])
def test_false_acceptances_are_rare(icc: float) -> None:
    """At the unacceptable rate exactly, looking after every round."""
    rng = random.Random(11)
    rates = [_spread(0.15, icc, rng) for _ in range(RUNS)]
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.15)
    assert _share(Verdict.PROMOTE, rule, rates) <= ALLOWED


def test_the_family_of_prompts_shares_one_level() -> None:
    """Every prompt at its tolerance: all of them together block one time in ten."""
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.25, per_prompt=True)
    assert _share(Verdict.BLOCK, rule, [[0.05] * PROMPTS] * RUNS) <= ALLOWED


def test_one_unacceptable_prompt_is_rarely_accepted() -> None:
    """The others are clean, and do not vouch for it."""
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.25, per_prompt=True)
    bad = [0.25] + [0.0] * (PROMPTS - 1)
    assert _share(Verdict.PROMOTE, rule, [bad] * RUNS, rounds=25) <= ALLOWED


def test_equal_versions_are_rarely_told_apart() -> None:
    """A relative rule on two arms that fail equally often."""
    rule = Rule(name="r", tolerate=0.0, unacceptable=0.1, relative=True)
    rates = [[0.2] * PROMPTS] * RUNS
    assert _share(Verdict.BLOCK, rule, rates, base=0.2) <= ALLOWED


@pytest.mark.parametrize("scope", ["suite", "traffic"])
def test_unacceptable_versions_are_blocked(scope: str) -> None:
    """Power at the unacceptable rate is at least nine in ten, at the usual levels."""
    rule = Rule(name="r", tolerate=0.05, unacceptable=0.3, scope=scope)  # type: ignore[arg-type]  # a parameter
    rng = random.Random(13)
    icc = 0.3 if scope == "suite" else 0.0
    rates = [_spread(0.3, icc, rng) for _ in range(80)]
    blocked = _share(Verdict.BLOCK, rule, rates, rounds=50, level=0.01)
    assert blocked >= 0.9


def test_traffic_is_not_judged_by_the_luck_of_its_prompts() -> None:
    """Twenty prompts drawn from traffic at its tolerance, asked twelve times each.

    Half of the time their own mean is above it; as a suite they would be blocked.
    """
    rng = random.Random(17)
    rates = [[float(rng.random() < 0.05) for _ in range(PROMPTS)] for _ in range(RUNS)]
    traffic = Rule(name="r", tolerate=0.05, unacceptable=0.15, scope="traffic")
    suite = Rule(name="r", tolerate=0.05, unacceptable=0.15)
    assert _share(Verdict.BLOCK, traffic, rates) <= ALLOWED
    assert _share(Verdict.BLOCK, suite, rates) > 2 * LEVEL
