"""Calibrations: corrected and widened rates, against simulation and brute force."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmguard.detectors import Calibration
from llmguard.errors import ConfigError


def calibration(
    tp: int = 210, fn: int = 2, tn: int = 220, fp: int = 11, family: str = "gpt-4"
) -> Calibration:
    """Return one of a good detector."""
    return Calibration(
        detector="refusal-lexicon/1", family=family, tp=tp, fn=fn, tn=tn, fp=fp
    )


COUNTS = st.builds(
    calibration,
    tp=st.integers(0, 400),
    fn=st.integers(1, 400),
    tn=st.integers(0, 400),
    fp=st.integers(1, 400),
)


def test_sensitivity_and_specificity_are_shares_of_what_people_labelled() -> None:
    """With the exact intervals of a published table: 210 of 212, 220 of 231."""
    one = calibration()
    assert 210 / 212 == one.sensitivity
    assert 220 / 231 == one.specificity
    assert pytest.approx((0.9663, 0.9989), abs=1e-3) == one.sensitivity_interval()
    assert pytest.approx((0.9164, 0.9760), abs=1e-3) == one.specificity_interval()


def test_the_exact_interval_inverts_the_binomial_test() -> None:
    """0 of 20 leaves 16.8 %, and each end has 2.5 % of the binomial beyond it."""
    one = calibration(tp=0, fn=20, tn=20, fp=0)
    assert pytest.approx((0.0, 1 - 0.025 ** (1 / 20))) == one.sensitivity_interval()
    assert pytest.approx((0.025 ** (1 / 20), 1.0)) == one.specificity_interval()


def test_correcting_inverts_observing() -> None:
    """The true rate comes back from the rate that the errors make of it."""
    one = calibration(tp=90, fn=10, tn=180, fp=20)
    seen = 0.3 * one.sensitivity + 0.7 * (1 - one.specificity)
    rate, low, high = one.correct(seen, 1000)
    assert pytest.approx(0.3) == rate
    assert low < 0.3 < high


def test_a_corrected_rate_stays_a_rate() -> None:
    """Fewer found than the false positives alone would give means none."""
    rate, low, high = calibration().correct(0.0, 50)
    assert (0.0, 0.0) == (rate, low)
    assert 0 < high < 0.15


@given(one=COUNTS, found=st.integers(0, 300), more=st.integers(0, 300))
def test_the_interval_of_a_corrected_rate_holds_the_estimate(
    one: Calibration, found: int, more: int
) -> None:
    """Whatever was counted, and both within [0, 1]."""
    assume(one.sensitivity > 1 - one.specificity)
    n = found + more + 1
    rate, low, high = one.correct(found / n, n)
    assert 0 <= low <= rate <= high <= 1


def test_corrected_intervals_cover_the_true_rate() -> None:
    """In simulation, calibration error included; nominal 95 %."""
    rng = random.Random(7)
    hits = 0
    for _ in range(200):
        tp = sum(rng.random() < 0.9 for _ in range(100))
        fp = sum(rng.random() < 0.1 for _ in range(100))
        one = calibration(tp=tp, fn=100 - tp, tn=100 - fp, fp=fp)
        seen = 0.2 * 0.9 + 0.8 * 0.1
        found = sum(rng.random() < seen for _ in range(300))
        _, low, high = one.correct(found / 300, 300)
        hits += low <= 0.2 <= high
    assert hits >= 190


def test_widened_rates_are_worst_cases_over_the_intervals() -> None:
    """Brute force over a grid of errors within the exact intervals."""
    one = calibration()
    s = one.sensitivity_interval()
    f = tuple(1 - end for end in one.specificity_interval())
    low, high = one.widen(0.05, 0.15)
    assert pytest.approx(max(0.05 * a + 0.95 * b for a in s for b in f)) == low
    assert pytest.approx(min(0.15 * a + 0.85 * b for a in s for b in f)) == high


@given(one=COUNTS, p0=st.floats(0.001, 0.5), gap=st.floats(0.001, 0.5))
def test_widening_never_narrows_what_is_tolerated(
    one: Calibration, p0: float, gap: float
) -> None:
    """At the estimated errors a tolerated version stays below, a bad one above."""
    try:
        low, high = one.widen(p0, p0 + gap)
    except ConfigError:
        return
    s, f = one.sensitivity, 1 - one.specificity
    assert p0 * s + (1 - p0) * f <= low < high
    assert high <= (p0 + gap) * s + (1 - p0 - gap) * f


def test_rates_that_cannot_be_told_apart_are_refused_with_those_that_can() -> None:
    """The message names the narrowest contract that the detector can hold."""
    one = calibration(tp=80, fn=20, tn=85, fp=15)
    least = one.separable(0.05)
    assert least is not None
    with pytest.raises(ConfigError, match=rf"`unacceptable={least:g}`") as refused:
        one.widen(0.05, 0.15)
    assert "finds 80.0%" in str(refused.value)
    assert one.widen(0.05, least)
    with pytest.raises(ConfigError, match="cannot tell them apart"):
        one.widen(0.05, least - 0.001)


def test_a_detector_that_guesses_is_refused_everywhere() -> None:
    """Nothing separates it, and nothing can be corrected."""
    blind = calibration(tp=50, fn=50, tn=50, fp=50)
    assert blind.separable(0.01) is None
    with pytest.raises(ConfigError, match="cannot tell them apart"):
        blind.widen(0.01, 0.99)
    with pytest.raises(ConfigError, match="no observed rate"):
        blind.correct(0.5, 100)


def test_margins_shrink_by_what_the_detector_can_tell() -> None:
    """False positives cancel between two versions, so margins are cheaper to hold."""
    one = calibration()
    low, high = one.widen(0.0, 0.05, relative=True)
    assert 0 == low
    assert 0.8 * 0.05 < high < 0.05
    assert one.separable(0.0, relative=True) == 0.001
    with pytest.raises(ConfigError, match="cannot tell them apart"):
        one.widen(0.05, 0.0505, relative=True)


def test_the_calibration_of_not_found_swaps_the_errors() -> None:
    """Compliance on prompts that must be refused is a refusal not found."""
    one = calibration()
    other = one.inverted()
    assert (one.specificity, one.sensitivity) == (other.sensitivity, other.specificity)
    assert one == other.inverted()
    assert (
        "On gpt-4, refusal-lexicon/1 leaves alone 95.2% [91.6%, 97.6%] of 231 "
        "labelled negatives and 0.9% [0.1%, 3.4%] of 212 labelled positives."
    ) == other.sentence
    assert other == Calibration.from_json(other.to_json())


def test_rates_outside_of_0_to_1_are_no_rates() -> None:
    """Nor is a rate of nothing."""
    for rate, n in ((1.1, 10), (-0.1, 10), (0.5, 0)):
        with pytest.raises(ConfigError, match="at least 1"):
            calibration().correct(rate, n)


def test_the_sentence_says_the_errors_and_how_thin_they_are() -> None:
    """Percentages with their exact intervals."""
    assert (
        "On gpt-4, refusal-lexicon/1 finds 99.1% [96.6%, 99.9%] of 212 labelled "
        "positives and 4.8% [2.4%, 8.4%] of 231 labelled negatives."
    ) == calibration().sentence
    thin = calibration(tp=9, fn=1, tn=10, fp=0).sentence
    assert thin.endswith("; fewer than 100 labelled texts.")


def test_one_kind_of_label_is_not_enough() -> None:
    """Neither error can then be told."""
    with pytest.raises(ConfigError, match="0 positive and 10 negative"):
        calibration(tp=0, fn=0, tn=10, fp=0)
    with pytest.raises(ConfigError, match="texts of both kinds"):
        calibration(tp=-1)


def test_a_calibration_is_bound_to_its_detector_version() -> None:
    """A new version of the words has other errors."""
    calibration().require("refusal-lexicon/1")
    with pytest.raises(ConfigError, match="refusal-lexicon/2` decides"):
        calibration().require("refusal-lexicon/2")


@given(one=COUNTS, family=st.text(min_size=1))
def test_json_gives_back_the_same_calibration(one: Calibration, family: str) -> None:
    """For any family name, whatever its alphabet."""
    other = calibration(one.tp, one.fn, one.tn, one.fp, family)
    assert other == Calibration.from_json(other.to_json())


def test_files_give_back_the_same_calibration(tmp_path: Path) -> None:
    """And a missing file names the command that makes it."""
    path = tmp_path / "refusal.json"
    calibration().save(path)
    assert calibration() == Calibration.load(path)
    with pytest.raises(ConfigError, match="llmguard suite calibrate"):
        Calibration.load(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is JSON"),
        ("[]", "write it again"),
        ('{"format": 2}', "write it again"),
        ('{"format": 1, "detector": "a/1"}', "what is missing"),
    ],
)
def test_documents_that_are_no_calibration_are_refused(
    text: str, says: str, tmp_path: Path
) -> None:
    """With the file's name in front."""
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as refused:
        Calibration.load(path)
    assert str(path) in str(refused.value)


def test_fields_of_another_type_are_named() -> None:
    """A count in quotes is not a count, nor is a truth value."""
    text = calibration().to_json()
    for wrong in ('"210"', "true", "1.5"):
        with pytest.raises(ConfigError, match="check tp"):
            Calibration.from_json(text.replace('"tp": 210', f'"tp": {wrong}'))
