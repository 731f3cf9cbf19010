"""Betting on pairs, and the list of suspects, against brute force."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.suite.stats import PairedBetting, e_bh
from llmguard.suite.stats._betting import EarlyBets


def test_early_bets_stop_where_the_bound_says_nothing() -> None:
    """At 90 % the fourth prompt of ten may always fail; nothing is bet on it."""
    bets = EarlyBets(size=40, mean=0.9, low=0.0, grid=(0.5,))
    for _ in range(4):
        bets.see(1.0)
    before = bets.log_e
    for _ in range(4):
        bets.see(1.0)
    assert bets.log_e == before > 0
    fresh = EarlyBets(size=40, mean=0.1, low=0.0, grid=(0.5,))
    fresh.stop()
    fresh.see(1.0)
    assert fresh.log_e == 0.0


MARGINS = st.sampled_from([(0.0, 0.05), (0.02, 0.1), (0.0, 0.9), (0.1, 0.3)])


@given(
    margins=MARGINS,
    noise=st.floats(0, 1),
    n=st.integers(0, 10**5),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_a_fair_pair_changes_nothing_on_average(
    margins: tuple[float, float],
    noise: float,
    n: int,
    shares: tuple[float, float],
) -> None:
    """Whatever the noise, while the mean difference is at the edge."""
    betting = PairedBetting(tolerate=margins[0], unacceptable=margins[1])
    worse = round(n * shares[0] / 2)
    better = round(n * shares[1] / 2)
    edges = ((betting.log_block, margins[0]), (betting.log_accept, margins[1]))
    for log_e, edge in edges:
        only_better = noise * (1 - edge) / 2
        chances = ((only_better + edge, 1, 0), (only_better, 0, 1))
        ties = 1 - 2 * only_better - edge
        now = log_e(n, worse, better)
        mean = ties * math.exp(log_e(n + 1, worse, better) - now) if ties > 0 else 0.0
        for chance, more_worse, more_better in chances:
            if chance:
                then = log_e(n + 1, worse + more_worse, better + more_better)
                mean += chance * math.exp(then - now)
        assert mean == pytest.approx(1.0, rel=1e-6)


def test_every_sequence_of_six_pairs() -> None:
    """Summed over all 729 outcomes at the edge, both e-values have mean one."""
    betting = PairedBetting(tolerate=0.1, unacceptable=0.3)
    for log_e, chances in (
        (betting.log_block, {1: 0.3, -1: 0.2, 0: 0.5}),
        (betting.log_accept, {1: 0.35, -1: 0.05, 0: 0.6}),
    ):
        total = 0.0
        for outcome in itertools.product(chances, repeat=6):
            chance = math.prod(chances[d] for d in outcome)
            total += chance * math.exp(log_e(6, outcome.count(1), outcome.count(-1)))
        assert total == pytest.approx(1.0)


def test_pairs_speak_one_way() -> None:
    """A pair only the candidate fails speaks for blocking, the reverse against it."""
    betting = PairedBetting(tolerate=0.0, unacceptable=0.05)
    assert betting.log_block(10, 1, 0) > betting.log_block(10, 0, 0) == 0
    assert betting.log_block(10, 0, 0) > betting.log_block(10, 0, 1)
    assert betting.log_accept(10, 0, 1) > betting.log_accept(10, 0, 0) > 0
    assert betting.log_accept(10, 0, 0) > betting.log_accept(10, 1, 0)


def test_a_margin_of_one_is_refuted_by_any_other_pair() -> None:
    """A tie refutes that the candidate fails alone in every pair."""
    betting = PairedBetting(tolerate=0.0, unacceptable=1.0)
    assert betting.log_accept(2, 1, 0) > math.log(20)
    assert betting.log_accept(2, 2, 0) < 0


@pytest.mark.parametrize("margins", [(-0.1, 0.1), (0.1, 0.1), (0.0, 1.5)])
def test_margins_need_a_gap(margins: tuple[float, float]) -> None:
    """A margin of zero is fine, one below is not."""
    with pytest.raises(ConfigError, match="0 <= tolerate < unacceptable <= 1"):
        PairedBetting(tolerate=margins[0], unacceptable=margins[1])


LOGS = st.dictionaries(st.integers(0, 30).map(str), st.floats(-5, 15), max_size=12)


@given(log_e=LOGS, extra=st.integers(0, 40), rate=st.sampled_from([0.05, 0.1, 0.5]))
def test_the_list_is_the_largest_that_supports_itself(
    log_e: dict[str, float], extra: int, rate: float
) -> None:
    """Brute force over all sizes; unnamed members of the family carry no evidence."""
    family = len(log_e) + extra
    listed = e_bh(log_e, family=family, rate=rate)
    ranked = sorted(log_e.values(), reverse=True)
    sizes = [
        k
        for k in range(1, len(ranked) + 1)
        if math.exp(ranked[k - 1]) * k * rate >= family * (1 - 1e-12)
    ]
    assert max(sizes, default=0) == len(listed)
    outside = [log_e[name] for name in log_e if name not in listed]
    assert all(log_e[name] >= max(outside, default=-9) for name in listed)


def test_one_strong_prompt_of_forty() -> None:
    """It needs an e-value of 400 at a false discovery rate of 0.10."""
    quiet = {str(i): 0.0 for i in range(39)}
    assert frozenset() == e_bh(quiet | {"bad": math.log(399)})
    assert frozenset({"bad"}) == e_bh(quiet | {"bad": math.log(401)})
    assert frozenset() == e_bh({})
