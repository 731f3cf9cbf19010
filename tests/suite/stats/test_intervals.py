"""Intervals against scipy's own and a brute-force likelihood."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from llmguard.errors import ConfigError
from llmguard.suite.stats import (
    clopper_pearson,
    paired_interval,
    upper_bound,
    wilson,
)

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS)
def test_rates_agree_with_scipy(counts: tuple[int, int]) -> None:
    """The exact interval, the score interval and the one-sided bound."""
    failures, n = counts
    test = stats.binomtest(failures, n)
    exact = test.proportion_ci(0.95, method="exact")
    score = test.proportion_ci(0.95, method="wilson")
    above = stats.binomtest(failures, n, alternative="less").proportion_ci(0.95)
    assert clopper_pearson(failures, n) == pytest.approx(tuple(exact), abs=1e-9)
    assert wilson(failures, n) == pytest.approx(tuple(score), abs=1e-9)
    assert upper_bound(failures, n) == pytest.approx(above.high, abs=1e-9)


def test_what_no_failures_leave_possible() -> None:
    """0 of 10 leave 26 %, 0 of 20 leave 14 %, 0 of 171 leave 1.8 %."""
    bounds = [round(upper_bound(0, n), 3) for n in (10, 20, 50, 171)]
    assert [0.259, 0.139, 0.058, 0.017] == bounds


def test_no_calls_bound_nothing() -> None:
    """The whole range, whatever the kind."""
    assert (0.0, 1.0) == clopper_pearson(0, 0) == wilson(0, 0)
    assert upper_bound(0, 0) == 1.0
    assert (-1.0, 1.0) == paired_interval(0, 0, 0)


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(5, 200),
    worse=st.integers(0, 30),
    better=st.integers(0, 30),
)
def test_the_paired_interval_is_where_the_score_test_turns(
    n: int, worse: int, better: int
) -> None:
    """At each bound the score, with the nuisance rate found by search, is +-1.96."""
    n = max(n, worse + better + 1)
    low, high = paired_interval(n, worse, better)
    assert -1 <= low <= (worse - better) / n <= high <= 1
    for bound, sign in ((low, 1), (high, -1)):
        score = _score(n, worse, better, bound)
        assert score == pytest.approx(sign * stats.norm.ppf(0.975), rel=2e-3)


def _score(n: int, worse: int, better: int, difference: float) -> float:
    def loss(only_better: float) -> float:
        only_worse = only_better + difference
        ties = 1 - only_better - only_worse
        terms = ((worse, only_worse), (better, only_better), (n - worse - better, ties))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in terms if k)

    span = (max(0.0, -difference), (1 - difference) / 2)
    found = optimize.minimize_scalar(
        loss, bounds=span, method="bounded", options={"xatol": 1e-12}
    )
    variance = n * (2 * found.x + difference - difference**2)
    return float((worse - better - n * difference) / math.sqrt(variance))


def test_directions_are_kept_apart() -> None:
    """Swapping the arms mirrors the interval."""
    low, high = paired_interval(50, 12, 2)
    assert (-high, -low) == pytest.approx(paired_interval(50, 2, 12))
    assert 0 < low < 0.2 < high


def test_all_pairs_alike() -> None:
    """The bounds stay within [-1, 1]."""
    low, high = paired_interval(10, 10, 0)
    assert 0.4 < low < high == pytest.approx(1.0)


def test_without_scipy_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only exact intervals need it."""
    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ConfigError, match=r"pip install 'llmguard-toolkit\[suite\]'"):
        clopper_pearson(1, 10)
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5)])
def test_counts_that_cannot_be(counts: tuple[int, int]) -> None:
    """More failures than calls are a mistake of the caller."""
    for interval in (clopper_pearson, wilson, upper_bound):
        with pytest.raises(ConfigError, match="0 <= failures <= n"):
            interval(*counts)
