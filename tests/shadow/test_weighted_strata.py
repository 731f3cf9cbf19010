"""Strata sampled at different shares, weighted back to the traffic: by simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from llmguard.shadow import Ladder, Report, ShadowVerdict, Tally, Version, report
from llmguard.shadow._series import Shares
from llmguard.shadow._weigh import Whole

A, B = Version(name="incumbent"), Version(name="challenger")
TRAFFIC = {"lang=de": 6_000, "lang=en": 90_000, "lang=fr": 4_000}
SAMPLED = {"lang=de": 500, "lang=en": 500, "lang=fr": 400}
"""A twelfth, a 180th and a tenth."""
FLOOR = 0.06


def _tally(
    rng: random.Random, divergence: Mapping[str, float], *, clusters: int = 0
) -> Tally:
    """Draw requests twice each; a share of each stratum differs beyond the noise.

    With clusters, all requests of one differ or none does, over all strata.
    """
    tally = Tally(Ladder(), clustered=bool(clusters))
    bad = [rng.random() for _ in range(clusters)]
    for name, n in SAMPLED.items():
        cell = tally.strata.at(name)
        for _ in range(n):
            group = rng.randrange(clusters) if clusters else None
            luck = rng.random() if group is None else bad[group]
            raw = float(luck < divergence[name] or rng.random() < FLOOR)
            a, b = (float(rng.random() < FLOOR) for _ in range(2))
            cell.sizes.add(twice_a=True, twice_b=True, group=group)
            cell.main.add(Shares(raw, a, b, raw, a, b), group=group)
    return tally


def _report(tally: Tally, **options: object) -> Report:
    return report(tally, incumbent=A, challenger=B, **options)  # type: ignore[arg-type]  # a helper's free keywords


def _true_raw(divergence: Mapping[str, float]) -> float:
    whole = sum(TRAFFIC.values())
    return sum(
        TRAFFIC[name] / whole * (d + FLOOR - d * FLOOR)
        for name, d in divergence.items()
    )


def test_a_dense_stratum_no_longer_counts_for_more() -> None:
    """German is a twentieth of the calls and a third of the sample."""
    divergence = {"lang=de": 0.4, "lang=en": 0.0, "lang=fr": 0.0}
    tally = _tally(random.Random(1), divergence)
    plain, weighted = _report(tally), _report(tally, traffic=TRAFFIC)
    assert plain.main.raw is not None
    assert weighted.main.raw is not None
    truth = _true_raw(divergence)
    assert weighted.main.raw.low < truth < weighted.main.raw.high
    assert plain.main.raw.value > 1.8 * truth
    assert {"lang=de": 0.06, "lang=en": 0.9, "lang=fr": 0.04} == weighted.shares
    assert "weighted back to the traffic" in " ".join(weighted.notes)
    assert {} == plain.shares
    # The stratum itself is what it is, and raises its own alarm.
    assert "in 'lang=de' they differ" in " ".join(weighted.alarms)


@pytest.mark.parametrize("clusters", [0, 150])
def test_intervals_hold_the_traffic_as_often_as_they_say(clusters: int) -> None:
    """95 %, over 200 samples; clusters reach over strata."""
    divergence = {"lang=de": 0.3, "lang=en": 0.04, "lang=fr": 0.0}
    truth = _true_raw(divergence)
    rng = random.Random(2)
    held = {"raw": 0, "net": 0, "excess": 0}
    total = 0.0
    for _ in range(200):
        found = Whole(_tally(rng, divergence, clusters=clusters), TRAFFIC).rates("main")
        assert found.raw is not None
        total += found.raw.value
        for name in held:
            one = getattr(found, name)
            want = truth if name == "raw" else truth - FLOOR
            held[name] += one.low <= want <= one.high
    assert math.isclose(truth, total / 200, abs_tol=0.004)
    assert all(n >= 182 for n in held.values()), held


def test_what_is_refuted_is_about_the_traffic() -> None:
    """At exactly 5 % of the calls, safety is claimed in at most one run of 20."""
    divergence = {"lang=de": 0.0, "lang=en": 0.05 / 0.9, "lang=fr": 0.0}
    # A request differs beyond the noise with d (1 - FLOOR): the excess.
    divergence = {name: d / (1 - FLOOR) for name, d in divergence.items()}
    rng = random.Random(3)
    plain = weighted = 0
    for _ in range(200):
        tally = _tally(rng, divergence)
        needed = math.log(20)
        plain += Whole(tally).safety(1, above=0.05) >= needed
        weighted += Whole(tally, TRAFFIC).safety(1, above=0.05) >= needed
    assert weighted <= 10
    # The sample alone would have promised it: it holds a third of the bad stratum.
    assert plain > 3 * max(weighted, 10)


def test_an_unchanged_version_is_promoted_all_the_same() -> None:
    """Weights cost evidence: a few more requests, not the verdict."""
    rng = random.Random(4)
    tally = _tally(rng, dict.fromkeys(TRAFFIC, 0.0))
    for _ in range(3):
        tally.merge(_tally(rng, dict.fromkeys(TRAFFIC, 0.0)))
    assert ShadowVerdict.PROMOTE is _report(tally, traffic=TRAFFIC).verdict


def test_equal_shares_give_what_no_weights_give() -> None:
    """The estimates are the same; intervals by strata are no wider than 5 % apart."""
    tally = _tally(random.Random(5), dict.fromkeys(TRAFFIC, 0.1))
    traffic = {name: 20 * n for name, n in SAMPLED.items()}
    plain, weighted = Whole(tally).rates("main"), Whole(tally, traffic).rates("main")
    assert plain.raw is not None
    assert weighted.raw is not None
    assert math.isclose(plain.raw.value, weighted.raw.value, abs_tol=1e-12)
    assert math.isclose(plain.raw.low, weighted.raw.low, rel_tol=0.05)
    assert math.isclose(plain.raw.high, weighted.raw.high, rel_tol=0.05)
    even = Whole(tally, traffic).safety(1, above=0.2)
    assert math.isclose(Whole(tally).safety(1, above=0.2), even, rel_tol=1e-9)


def test_what_was_not_compared_is_said() -> None:
    """A stratum without a single pair has no estimate, and no weight."""
    tally = _tally(random.Random(6), dict.fromkeys(TRAFFIC, 0.0))
    found = _report(tally, traffic={**TRAFFIC, "lang=it": 25_000})
    assert "20" in " ".join(note for note in found.notes if "nothing was" in note)
    assert "lang=it" not in found.shares
