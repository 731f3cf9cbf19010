"""No stopping rule whatever beats the evidence: exact, over every order and outcome.

The value of a game in which a player watches all calls, prompts by name, and stops when
they like, being paid the e-value, is found by backward induction. For an e-process it
is at most 1 while the hypothesis holds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from llmguard.suite.stats import BetaMixture, Decider, Rule

History = tuple[tuple[tuple[int, bool, bool], ...], ...]
Evidence = Callable[[History], float]
Law = tuple[tuple[float, bool, bool], ...]

NEVER = 1e-300
CLUMSY = [(0.9, 0.0, 0.0), (0.3, 0.3, 0.3), (0.45, 0.45, 0.0), (0.1, 0.2, 0.6)]


def _value(evidence: Evidence, laws: Sequence[Law], rounds: int) -> float:
    """Return the value of the game; a law lists (chance, failed, incumbent failed)."""

    def play(done: History, now: tuple[tuple[int, bool, bool], ...]) -> float:
        here = evidence((*done, now)) if now else evidence(done)
        if len(now) == len(laws):
            done, now = (*done, now), ()
            here = max(here, evidence(done))
            if len(done) == rounds:
                return here
        left = [c for c in range(len(laws)) if c not in {call[0] for call in now}]
        ahead = sum(
            chance / len(left) * play(done, (*now, (case, failed, base)))
            for case in left
            for chance, failed, base in laws[case]
            if chance
        )
        return max(here, ahead)

    return play((), ())


def _of(rule: Rule, size: int, side: Literal["block", "accept"] = "block") -> Evidence:
    """Read the evidence off a decider that never decides."""

    def evidence(history: History) -> float:
        decider = Decider([rule], cases=size, alpha=NEVER, beta=NEVER, cap=9)
        for calls in history:
            for case, failed, base in calls:
                decider.feed(rule.name, str(case), failed, base)
            if len(calls) == size:
                decider.end_round()
        if side == "accept":  # stopping in between is not offered
            between = any(len(calls) < size for calls in history)
            return 0.0 if between else math.exp(decider.state(rule.name).log_accept)
        return math.exp(decider.state(rule.name).log_block)

    return evidence


def _laws(rates: Sequence[float]) -> list[Law]:
    return [((1 - rate, False, False), (rate, True, False)) for rate in rates]


@pytest.mark.parametrize("rates", CLUMSY)
@pytest.mark.parametrize("side", ["block", "accept"])
def test_unequal_prompts_in_random_order(
    rates: tuple[float, ...], side: Literal["block", "accept"]
) -> None:
    """The mean is exactly at the edge; a hot prompt gains nothing by coming first."""
    low, high = (0.3, 0.6) if side == "block" else (0.1, 0.3)
    rule = Rule(name="r", tolerate=low, unacceptable=high)
    rounds = 2 if max(rates) > 0.5 else 1
    assert _value(_of(rule, 3, side), _laws(rates), rounds) <= 1 + 1e-9


def test_looking_within_a_round_without_caution_would_cheat() -> None:
    """The closed form at any call, as if prompts were drawn anew, is worth more than 1.

    So the test above can fail, and the caution is needed.
    """
    mixture = BetaMixture(tolerate=0.3, unacceptable=0.6)

    def naive(history: History) -> float:
        calls = list(itertools.chain(*history))
        return math.exp(mixture.log_block(len(calls), sum(call[1] for call in calls)))

    assert _value(naive, _laws((0.9, 0.0, 0.0)), 2) > 1.01


@pytest.mark.parametrize(
    ("candidate", "incumbent"),
    [((0.9, 0.0), (0.0, 0.7)), ((0.6, 0.4), (0.4, 0.4)), ((1.0, 0.2), (0.5, 0.5))],
)
@pytest.mark.parametrize("side", ["block", "accept"])
def test_pairs(
    candidate: Sequence[float],
    incumbent: Sequence[float],
    side: Literal["block", "accept"],
) -> None:
    """The mean margin is exactly 0.1; single prompts are far better or worse."""
    low, high = (0.1, 0.4) if side == "block" else (0.0, 0.1)
    rule = Rule(name="r", tolerate=low, unacceptable=high, relative=True)
    laws = [
        tuple(
            ((p if failed else 1 - p) * (q if base else 1 - q), failed, base)
            for failed in (False, True)
            for base in (False, True)
        )
        for p, q in zip(candidate, incumbent, strict=True)
    ]
    assert _value(_of(rule, 2, side), laws, 2) <= 1 + 1e-9


@pytest.mark.parametrize("rates", [(0.3, 0.3, 0.3), (0.3, 0.0, 0.1)])
def test_a_family_of_prompts(rates: tuple[float, ...]) -> None:
    """Every prompt is tolerable: the bound holds for all of them together."""
    rule = Rule(name="r", tolerate=0.3, unacceptable=0.6, per_prompt=True)
    assert _value(_of(rule, 3), _laws(rates), 2) <= 1 + 1e-9


@pytest.mark.parametrize("kinds", [(0.9, 0.0), (0.3, 0.3), (0.6, 0.15)])
@pytest.mark.parametrize("side", ["block", "accept"])
def test_traffic(kinds: tuple[float, float], side: Literal["block", "accept"]) -> None:
    """Prompts are drawn from two kinds with mean 0.3, and asked again and again."""
    first, second = kinds
    share = 0.5 if first == second else (0.3 - second) / (first - second)
    low, high = (0.3, 0.6) if side == "block" else (0.1, 0.3)
    rule = Rule(name="r", tolerate=low, unacceptable=high, scope="traffic")
    assert _mixed(_drawn(rule, side), kinds, share, 2, 3) <= 1 + 1e-9


def _drawn(rule: Rule, side: Literal["block", "accept"]) -> Evidence:
    """As `_of`, for evidence to accept that is current at every call."""

    def evidence(history: History) -> float:
        decider = Decider([rule], cases=2, alpha=NEVER, beta=NEVER, cap=9)
        for calls in history:
            for case, failed, _ in calls:
                decider.feed(rule.name, str(case), failed)
            if len(calls) == 2:
                decider.end_round()
        state = decider.state(rule.name)
        return math.exp(state.log_block if side == "block" else state.log_accept)

    return evidence


def _mixed(
    evidence: Evidence, kinds: Sequence[float], share: float, size: int, rounds: int
) -> float:
    """Return the value when each prompt's kind is drawn, and never shown."""
    draws = {
        drawn: math.prod(share if kind == kinds[0] else 1 - share for kind in drawn)
        for drawn in itertools.product(kinds, repeat=size)
    }

    def play(done: History, now: tuple[tuple[int, bool, bool], ...]) -> float:
        here = evidence((*done, now)) if now else evidence(done)
        if len(now) == size:
            done, now = (*done, now), ()
            here = max(here, evidence(done))
            if len(done) == rounds:
                return here * chance((*done, now))
        mass = chance((*done, now))
        case = len(now)  # the order is no secret: the prompts are alike beforehand
        ahead = sum(
            play(done, (*now, (case, failed, False))) for failed in (False, True)
        )
        return max(here * mass, ahead)

    def chance(history: History) -> float:
        calls = list(itertools.chain(*history))
        return sum(
            weight
            * math.prod(
                drawn[case] if failed else 1 - drawn[case] for case, failed, _ in calls
            )
            for drawn, weight in draws.items()
        )

    return play((), ())


def test_repeats_of_the_same_prompts_taken_as_draws_would_cheat() -> None:
    """The closed form over three rounds of two prompts is worth more than 1."""
    mixture = BetaMixture(tolerate=0.3, unacceptable=0.6)

    def naive(history: History) -> float:
        calls = list(itertools.chain(*history))
        return math.exp(mixture.log_block(len(calls), sum(call[1] for call in calls)))

    assert _mixed(naive, (0.9, 0.0), 1 / 3, 2, 3) > 1.5
