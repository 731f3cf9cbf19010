"""The Beta mixture against quadrature, brute force and its own martingale identity."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from llmguard.errors import ConfigError
from llmguard.suite.stats import BetaMixture
from llmguard.suite.stats._beta import (
    _log_complement,
    log_mean_exp,
    log_sum_exp,
    log_tails,
)

LEVEL = math.log(20)
RATES = st.sampled_from(
    [(0.005, 0.02), (0.05, 0.1), (0.05, 0.25), (0.2, 0.5), (1e-4, 0.001), (0.3, 0.9)]
)


@given(
    a=st.floats(0.3, 60.0),
    b=st.floats(0.3, 5000.0),
    x=st.floats(0.0, 1.0, allow_subnormal=False),
)
def test_tails_agree_with_scipy_where_scipy_has_them(
    a: float, b: float, x: float
) -> None:
    """Both tails, wherever neither underflows."""
    lower, upper = log_tails(a, b, x)
    assert math.exp(lower) == pytest.approx(special.betainc(a, b, x), 1e-9, 1e-280)
    assert math.exp(upper) == pytest.approx(special.betaincc(a, b, x), 1e-9, 1e-280)


@given(n=st.integers(1, 10**6), x=st.floats(1e-6, 1 - 1e-6))
def test_tails_beyond_the_smallest_double(n: int, x: float) -> None:
    """Beta(n, 1) and Beta(1, n) have tails in closed form, however small."""
    assert log_tails(n, 1, x)[0] == pytest.approx(n * math.log(x), 1e-9, 1e-8)
    assert log_tails(1, n, x)[1] == pytest.approx(n * math.log1p(-x), 1e-9, 1e-8)


@settings(deadline=None, max_examples=25)
@given(rates=RATES, n=st.integers(1, 150), share=st.floats(0, 1))
def test_the_closed_form_is_the_integral(
    rates: tuple[float, float], n: int, share: float
) -> None:
    """Likelihood ratios integrated over the cut priors give the same two e-values."""
    p0, p1 = rates
    failures = round(n * share**3)
    mixture = BetaMixture(tolerate=p0, unacceptable=p1)
    pairs = [
        (mixture.log_block, stats.beta(1, 0.5 / p1), p0, (p0, 1.0)),
        (mixture.log_accept, stats.beta(0.5, 0.5 / p0), p1, (0.0, p1)),
    ]
    for log_e, prior, edge, (low, high) in pairs:
        offset = log_e(n, failures)

        def ratio(
            q: float, prior: object = prior, edge: float = edge, off: float = offset
        ) -> float:
            gain = special.xlogy(failures, q / edge)
            gain += special.xlog1py(n - failures, -q) - special.xlog1py(
                n - failures, -edge
            )
            return math.exp(gain - off) * prior.pdf(q)  # type: ignore[attr-defined]  # scipy is untyped

        peak = min(max(failures / n, low), high)
        cuts = sorted(
            {low, high}
            | {
                min(max(peak + k * math.sqrt(peak / n + 1 / n**2), low), high)
                for k in (-6, -2, 0, 2, 6)
            }
        )
        total = sum(
            integrate.quad(ratio, *pair, limit=200)[0]
            for pair in itertools.pairwise(cuts)
        )
        mass = prior.cdf(high) - prior.cdf(low)
        assert total / mass == pytest.approx(1.0, rel=1e-5)


@settings(deadline=None)
@given(
    rates=RATES,
    n=st.integers(0, 10**6),
    share=st.floats(0, 1),
)
def test_a_fair_bet_stays_fair(
    rates: tuple[float, float], n: int, share: float
) -> None:
    """At the edge the next call changes neither e-value on average, even after 1e6."""
    mixture = BetaMixture(tolerate=rates[0], unacceptable=rates[1])
    failures = round(n * rates[1] * share)
    for log_e, edge in zip((mixture.log_block, mixture.log_accept), rates, strict=True):
        now = log_e(n, failures)
        worse, better = log_e(n + 1, failures + 1) - now, log_e(n + 1, failures) - now
        mean = edge * math.exp(worse) + (1 - edge) * math.exp(better)
        assert mean == pytest.approx(1.0, rel=1e-7)


def test_every_sequence_of_ten_calls() -> None:
    """Summed over all 1,024 outcomes at the edge, each e-value has mean one."""
    mixture = BetaMixture(tolerate=0.2, unacceptable=0.5)
    for log_e, edge in ((mixture.log_block, 0.2), (mixture.log_accept, 0.5)):
        total = 0.0
        for outcome in itertools.product((0, 1), repeat=10):
            failures = sum(outcome)
            chance = edge**failures * (1 - edge) ** (10 - failures)
            total += chance * math.exp(log_e(10, failures))
        assert total == pytest.approx(1.0)


@pytest.mark.parametrize("rates", [(0.02, 0.1), (0.2, 0.5)])
def test_looking_after_every_call_keeps_the_level(rates: tuple[float, float]) -> None:
    """The exact chance of ever crossing within 150 looks, by dynamic programming."""
    mixture = BetaMixture(tolerate=rates[0], unacceptable=rates[1])
    for log_e, edge in zip((mixture.log_block, mixture.log_accept), rates, strict=True):
        alive, crossed = {0: 1.0}, 0.0
        for n in range(1, 151):
            grown: dict[int, float] = {}
            for failures, chance in alive.items():
                grown[failures] = grown.get(failures, 0.0) + chance * (1 - edge)
                grown[failures + 1] = grown.get(failures + 1, 0.0) + chance * edge
            over = {s for s, p in grown.items() if p > 1e-9 and log_e(n, s) >= LEVEL}
            crossed += sum(grown[s] for s in over)
            alive = {s: p for s, p in grown.items() if s not in over and p > 1e-9}
        assert 0.005 < crossed <= 0.05


@pytest.mark.parametrize(
    ("tolerate", "unacceptable", "calls"),
    [
        (0.005, 0.02, 171),
        (0.005, 0.05, 64),
        (0.01, 0.05, 67),
        (0.02, 0.1, 33),
        (0.05, 0.1, 35),
        (0.05, 0.15, 22),
        (0.05, 0.25, 12),
    ],
)
def test_calls_without_failure_that_accept(
    tolerate: float, unacceptable: float, calls: int
) -> None:
    """The documented minima at beta = 5 %."""
    mixture = BetaMixture(tolerate=tolerate, unacceptable=unacceptable)
    assert mixture.log_accept(calls - 1, 0) < math.log(20)
    assert mixture.log_accept(calls, 0) >= math.log(20)


@given(rates=RATES, n=st.integers(1, 2000), share=st.floats(0, 1))
def test_failures_speak_one_way(
    rates: tuple[float, float], n: int, share: float
) -> None:
    """A failure instead of a pass never helps the candidate, nor a pass hurts it."""
    mixture = BetaMixture(tolerate=rates[0], unacceptable=rates[1])
    k = round((n - 1) * share)
    assert mixture.log_block(n, k) < mixture.log_block(n, k + 1)
    assert mixture.log_accept(n, k) > mixture.log_accept(n, k + 1)
    assert mixture.log_block(n + 1, k) < mixture.log_block(n, k)


def test_one_pass_refutes_always_failing() -> None:
    """`unacceptable=1` is refuted by the first success, and by nothing else."""
    mixture = BetaMixture(tolerate=0.5, unacceptable=1.0)
    assert math.inf == mixture.log_accept(3, 2)
    assert mixture.log_accept(3, 3) < 0


@pytest.mark.parametrize("rates", [(0.0, 0.1), (0.1, 0.1), (0.2, 0.1), (0.5, 1.1)])
def test_rates_need_a_gap(rates: tuple[float, float]) -> None:
    """Without one nothing can ever be told apart."""
    with pytest.raises(ConfigError, match="0 < tolerate < unacceptable <= 1"):
        BetaMixture(tolerate=rates[0], unacceptable=rates[1])


def test_a_tail_that_is_everything() -> None:
    """The other one is nothing, not a domain error."""
    assert _log_complement(0.0) == -math.inf
    assert (-math.inf, 0.0) == log_tails(2, 3, 0.0)
    assert (0.0, -math.inf) == log_tails(2, 3, 1.0)


def test_sums_of_logarithms() -> None:
    """Large, small and infinite terms."""
    assert 1000 + math.log(2) == log_sum_exp([1000.0, 1000.0])
    assert -math.inf == log_sum_exp([-math.inf, -math.inf])
    assert math.inf == log_sum_exp([0.0, math.inf])
    assert 0.0 == log_mean_exp([0.0, 0.0])
