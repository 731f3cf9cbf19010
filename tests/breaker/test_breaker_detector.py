"""The behaviour detector: its bound on false trips, its delays, what p0 is."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.breaker import BreakerPolicy, EDetector, State, VersionBreaker, upper_rate
from llmguard.errors import ConfigError
from llmguard.outcome import Kind


@given(st.integers(0, 400), st.integers(1, 2000), st.sampled_from([0.9, 0.95, 0.99]))
@settings(max_examples=150, deadline=None)
def test_upper_rate_is_scipys(failures: int, calls: int, confidence: float) -> None:
    """The bound is the beta quantile that defines Clopper and Pearson's interval."""
    beta = pytest.importorskip("scipy.stats").beta
    failures = min(failures, calls)
    expected = (
        1.0
        if failures == calls
        else float(beta.ppf(confidence, failures + 1, calls - failures))
    )
    assert math.isclose(
        upper_rate(failures, calls, confidence=confidence), expected, rel_tol=1e-9
    )


@pytest.mark.parametrize(
    ("failures", "calls", "expected"),
    [(0, 0, 1.0), (0, 300, 1 - 0.05 ** (1 / 300)), (7, 7, 1.0), (1, 100, 0.0466)],
)
def test_upper_rate_of_known_pairs(failures: int, calls: int, expected: float) -> None:
    """No failures in n calls bound the rate by 1 - 0.05**(1/n), about 3/n."""
    assert upper_rate(failures, calls) == pytest.approx(expected, abs=5e-5)


def test_upper_rate_refuses_impossible_counts() -> None:
    """More failures than calls is a swapped pair."""
    with pytest.raises(ConfigError, match="qualification="):
        upper_rate(300, 3)


def test_p0_is_the_larger_of_floor_and_qualification() -> None:
    """A short qualification raises what is normal; a long one never lowers it."""
    rates = [
        BreakerPolicy(qualification=pair).p0
        for pair in (None, (1, 100), (3, 300), (30, 3000))
    ]
    assert [f"{rate:.3f}" for rate in rates] == ["0.020", "0.047", "0.026", "0.020"]


@given(
    p0=st.floats(0.005, 0.6),
    share=st.floats(0.0, 1.0),
    batches=st.lists(st.integers(1, 3), min_size=1, max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_evidence_has_mean_at_most_the_calls(
    p0: float, share: float, batches: list[int]
) -> None:
    """At any rate up to p0, in any batches: the exact mean of evidence is <= n."""
    p, mean = p0 * share, 0.0
    for results in itertools.product([False, True], repeat=sum(batches)):
        detector, rest = EDetector(p0=p0), list(results)
        for size in batches:
            batch, rest = rest[:size], rest[size:]
            detector.update_batch(calls=size, fails=sum(batch))
        chance = math.prod(p if bad else 1 - p for bad in results)
        mean += chance * detector.evidence
    n = sum(batches)
    assert mean <= n * (1 + 1e-9)
    if share == 1.0:
        assert math.isclose(mean, n, rel_tol=1e-9)


@given(st.lists(st.booleans(), max_size=60), st.floats(0.005, 0.9))
@settings(deadline=None)
def test_a_batch_of_one_is_an_update(results: list[bool], p0: float) -> None:
    """Pooled counts and single calls drive the same detector."""
    single, batched = EDetector(p0=p0), EDetector(p0=p0)
    for bad in results:
        assert single.update(failed=bad) == batched.update_batch(
            calls=1, fails=int(bad)
        )
    assert math.isclose(single.evidence, batched.evidence, rel_tol=1e-9)
    assert (single.calls, single.fails) == (len(results), sum(results))


def test_a_huge_batch_trips_and_does_not_overflow() -> None:
    """Thousands of failures at once are evidence, not an arithmetic error."""
    assert EDetector(p0=0.02).update_batch(calls=10_000, fails=10_000)


def test_a_detector_refuses_what_it_cannot_watch() -> None:
    """Rates and counts outside their range are named."""
    with pytest.raises(ConfigError, match="`p0` is 0"):
        EDetector(p0=0)
    with pytest.raises(ConfigError, match="3 failures of 2 calls"):
        EDetector(p0=0.1).update_batch(calls=2, fails=3)


def test_a_detector_tells_what_it_watches() -> None:
    """What is normal, and how much evidence trips it: a million by default."""
    detector = EDetector(p0=0.1)
    assert (0.1, 1e6) == (detector.p0, detector.threshold)
    with pytest.raises(ConfigError) as refused:
        detector.update_batch(calls=2, fails=3)
    assert (
        "3 failures of 2 calls cannot be; give `fails` from 0 to `calls`"
        == str(refused.value)
    )  # fmt: skip


@pytest.mark.parametrize("p0", [-0.1, 1, 1.5])
def test_rates_that_are_none_are_refused(p0: float) -> None:
    """Nothing can be watched that always fails, or never may."""
    with pytest.raises(ConfigError, match=f"`p0` is {p0}"):
        EDetector(p0=p0)


def test_batches_are_counted() -> None:
    """Calls and failures add up over batches."""
    detector = EDetector(p0=0.1)
    detector.update_batch(calls=3, fails=1)
    detector.update_batch(calls=5, fails=2)
    assert (8, 3) == (detector.calls, detector.fails)


def test_alternatives_lie_above_p0_and_below_one() -> None:
    """Others would be no alternatives, and would weaken the rest."""
    only = EDetector(p0=0.1, alternatives=(0.5,))
    more = EDetector(p0=0.1, alternatives=(0.1, 0.5, 1.0, 1.5))
    for failed in (True, False, True, True, False):
        assert only.update(failed=failed) == more.update(failed=failed)
        assert only.evidence == more.evidence


def test_it_trips_at_the_threshold_itself() -> None:
    """One failure at twice p0 doubles the evidence, exactly."""
    one = EDetector(p0=0.25, alternatives=(0.5,), threshold=2.0)
    assert one.update(failed=True)
    batch = EDetector(p0=0.25, alternatives=(0.5,), threshold=2.0)
    assert batch.update_batch(calls=1, fails=1)


def test_a_high_p0_still_looks_above_itself() -> None:
    """When every alternative lies below p0, one half-way to 1 is watched."""
    detector = EDetector(p0=0.9, threshold=100.0)
    calls = next(n for n in itertools.count(1) if detector.update(failed=True))
    ratio = 0.95 / 0.9
    geometric = math.log(1 + 100 * (ratio - 1) / ratio) / math.log(ratio)
    assert calls == math.ceil(geometric)


# "How many of how many" trip after 500 good calls, failures evenly spread, A = 1e6.
THRESHOLDS = {
    0.01: [(4, 5), (5, 10), (6, 20), (8, 50), (10, 100), (13, 200), (20, 500)],
    0.02: [(5, 5), (6, 10), (7, 20), (10, 50), (13, 100), (18, 200), (29, 500)],
    0.05: [(7, 10), (10, 20), (14, 50), (20, 100), (30, 200), (52, 500)],
}


def trips(p0: float, fails: int, calls: int) -> bool:
    detector = EDetector(p0=p0)
    for _ in range(500):
        detector.update(failed=False)
    spread = {round(i * (calls - 1) / max(fails - 1, 1)) for i in range(fails)}
    # Every call is made, as the table was: no stop at the first trip.
    return sum(detector.update(failed=i in spread) for i in range(calls)) > 0


@pytest.mark.parametrize("p0", THRESHOLDS)
def test_how_many_of_how_many_trip(p0: float) -> None:
    """The documented table: so many failures trip, one fewer does not."""
    for fails, calls in THRESHOLDS[p0]:
        assert (trips(p0, fails, calls), trips(p0, fails - 1, calls)) == (True, False)


def delay(rng: random.Random, p0: float, after: float) -> int:
    """Return calls from a shift of the failure rate, after 500 calls at 1 %."""
    detector = EDetector(p0=p0)
    for _ in range(500):
        detector.update(failed=rng.random() < 0.01)
    return next(
        n for n in itertools.count(1) if detector.update(failed=rng.random() < after)
    )


# p0, rate after the shift, median and 95th percentile of the delay in calls, from
# 1000 independent replicates of another implementation.
DELAYS = [
    (0.01, 0.05, 239, 476),
    (0.01, 0.10, 73, 156),
    (0.01, 0.20, 27, 58),
    (0.01, 0.50, 9, 16),
    (0.02, 0.05, 580, 1228),
    (0.02, 0.10, 127, 255),
    (0.02, 0.20, 40, 80),
    (0.02, 0.50, 11, 20),
]


def check_delay(row: tuple[float, float, int, int], replicates: int) -> None:
    """Compare quantiles within three standard errors, of ours and of the table."""
    p0, after, median, p95 = row
    rng = random.Random(20260101)
    delays = [delay(rng, p0, after) for _ in range(replicates)]
    for quantile, expected in ((0.5, median), (0.95, p95)):
        spread = quantile * (1 - quantile)
        band = 3 * math.sqrt(spread / replicates + spread / 1000)
        below = sum(d < expected for d in delays) / replicates
        upto = sum(d <= expected for d in delays) / replicates
        assert below - band <= quantile <= upto + band


@pytest.mark.parametrize("row", [DELAYS[2], DELAYS[3], DELAYS[6], DELAYS[7]])
def test_delays(row: tuple[float, float, int, int]) -> None:
    """Shifts to 20 % and 50 % are found in the documented number of calls."""
    check_delay(row, replicates=250)


@pytest.mark.slow
@pytest.mark.parametrize("row", DELAYS)
def test_delays_in_full(row: tuple[float, float, int, int]) -> None:
    """So is every shift of the table, with more replicates."""
    check_delay(row, replicates=1500)


def false_trips(p: float, p0: float, threshold: float, calls: int) -> int:
    rng, detector, count = random.Random(7), EDetector(p0=p0, threshold=threshold), 0
    for _ in range(calls):
        if detector.update(failed=rng.random() < p):
            count += 1
            detector.reset()
    return count


def test_false_trips_stay_within_the_bound() -> None:
    """At p0 itself, trips are at most calls / A, within three standard errors."""
    expected = 150_000 / 1000
    count = false_trips(0.02, 0.02, 1000.0, 150_000)
    assert 0 < count <= expected + 3 * math.sqrt(expected)


def test_no_false_trip_in_a_healthy_hundred_thousand_calls() -> None:
    """At 1 % failures, with the defaults, 100 000 calls trip nothing."""
    assert false_trips(0.01, 0.02, 1e6, 100_000) == 0


@pytest.mark.slow
def test_false_trips_in_full() -> None:
    """Ten million calls: p0 1 % at 1 % trips about 0.08 per 100 000, p0 2 % never."""
    assert false_trips(0.01, 0.01, 1e6, 5_000_000) <= 4 + 3 * math.sqrt(4)
    assert false_trips(0.01, 0.02, 1e6, 5_000_000) == 0


def bursts(rng: random.Random, calls: int) -> list[tuple[str, bool]]:
    """Return (input, failed) at a rate of 1 %, bad inputs tried twice on average."""
    stream: list[tuple[str, bool]] = []
    while len(stream) < calls:
        bad = rng.random() < 0.005
        name = str(len(stream))
        stream.append((name, bad))
        while bad and rng.random() < 0.5:
            stream.append((name, True))
    return stream


def test_one_outcome_per_input_cures_false_trips_of_retried_inputs(
    make: Callable[..., VersionBreaker],
) -> None:
    """Retries of bad inputs trip a plain detector, and not the breaker's."""
    stream = bursts(random.Random(11), 60_000)
    breaker = make(base_rate=0.01)
    plain, tripped = EDetector(p0=0.01), 0
    for name, bad in stream:
        breaker.observe(name, Kind.SCHEMA if bad else Kind.OK)
        if plain.update(failed=bad):
            tripped += 1
            plain.reset()
    assert tripped > 10
    assert breaker.status is State.CLOSED


def test_delay_grows_with_the_logarithm_of_the_threshold() -> None:
    """Ten times fewer false trips cost about ln 10 / KL more calls."""
    calls = []
    for threshold in (1e4, 1e5, 1e6):
        detector = EDetector(p0=0.02, threshold=threshold, alternatives=[0.2])
        pattern = itertools.cycle([True, False, False, False, False])
        calls.append(
            next(n for n in itertools.count(1) if detector.update(failed=next(pattern)))
        )
    divergence = 0.2 * math.log(0.2 / 0.02) + 0.8 * math.log(0.8 / 0.98)
    step = statistics.mean([calls[1] - calls[0], calls[2] - calls[1]])
    assert step == pytest.approx(math.log(10) / divergence, abs=3)
