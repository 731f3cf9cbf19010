"""Burn rates: which rule fires, when, and when none may."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.monitor.slo import MIN_BAD, RULES, Objective, Sli
from llmguard.monitor.slo._burn import (
    HOUR,
    MINUTE,
    Firing,
    Point,
    burn_rate,
    burning,
    span_words,
    timelines,
)
from llmguard.store import CountRow

OBJECTIVE = Objective(sli=Sli.SCHEMA_VALID, target=0.995)
NOW = 3_000_000 * MINUTE


def _minutes(bad: int, total: int, *, first: int, last: int = 0) -> list[Point]:
    """Make points of the minutes `first` to `last` ago."""
    return [
        Point(NOW - ago * MINUTE, total - bad, total) for ago in range(first, last, -1)
    ]


def _hours(points: list[Point]) -> list[Point]:
    sums: dict[float, list[int]] = {}
    for point in points:
        cell = sums.setdefault(point.start // HOUR * HOUR, [0, 0])
        cell[0] += point.good
        cell[1] += point.total
    return [Point(start, *cell) for start, cell in sorted(sums.items())]


def _look(points: list[Point], objective: Objective = OBJECTIVE) -> Firing | None:
    fine = [point for point in points if point.start >= NOW - 6 * HOUR]
    return burning(objective, fine, _hours(points), NOW)


def test_the_factors_are_the_usual_ones() -> None:
    """Over 30 days: 14.4, 6, 3 and 1; over 7 days as much less."""
    month = [rule.factor(30 * 86_400.0) for rule in RULES]
    assert month == pytest.approx([14.4, 6.0, 3.0, 1.0])
    assert RULES[0].factor(7 * 86_400.0) == pytest.approx(3.36)
    assert [rule.words for rule in RULES] == [
        "5m + 1h",
        "30m + 6h",
        "2h + 1d",
        "6h + 3d",
    ]
    assert span_words(90.0) == "90s"


@pytest.mark.parametrize(
    ("share", "hours", "words"),
    [
        (0.30, 1, "5m + 1h"),
        (0.08, 1, "5m + 1h"),
        (0.05, 6, "30m + 6h"),
        (0.02, 24, "2h + 1d"),
        (0.006, 72, "6h + 3d"),
        (0.0045, 72, None),
    ],
)
def test_the_rule_that_fits_the_fire(
    share: float, hours: int, words: str | None
) -> None:
    """A fast burn pages within the hour, a slow one gives a ticket in days."""
    found = _look(_minutes(round(share * 2000), 2000, first=hours * 60))
    assert (None if found is None else found.rule.words) == words


def test_what_is_over_does_not_fire() -> None:
    """The short window ends the alert soon after the repair."""
    bad = _minutes(30, 100, first=60, last=10)
    healthy = _minutes(0, 100, first=10)
    assert _look([*bad, *healthy[:3]]) is not None
    found = _look([*bad, *healthy])
    assert found is None or found.rule is not RULES[0]


def test_few_events_do_not_page() -> None:
    """One bad answer of ten in an hour is a burn rate of 20, and no reason to page."""
    few = _minutes(1, 10, first=MIN_BAD - 1)
    assert burn_rate(OBJECTIVE, few) == pytest.approx(20.0)
    assert _look(few) is None
    assert _look(_minutes(1, 10, first=MIN_BAD)) is not None


def test_since_is_where_it_began() -> None:
    """The change point is found within the long window, to the minute."""
    points = [*_minutes(0, 100, first=60, last=20), *_minutes(40, 100, first=20)]
    found = _look(points)
    assert found is not None
    assert found.since == NOW - 20 * MINUTE
    assert (found.bad, found.total) == (800, 6000)


def test_a_target_too_low_for_a_rule() -> None:
    """At 90 % nothing burns 14 times too fast; the slower rules still see it."""
    loose = Objective(sli=Sli.NOT_DEGRADED, target=0.9)
    found = _look(_minutes(100, 100, first=360), loose)
    assert found is not None
    assert found.rule is RULES[1]


def test_nothing_to_look_at() -> None:
    """No events are no fire."""
    assert _look([]) is None
    assert burn_rate(OBJECTIVE, [Point(NOW, 0, 0)]) == 0.0


def test_timelines_per_version() -> None:
    """Counts of the store become good and total, by version and time."""
    rows = [
        CountRow(60.0, "f", "a", "", "first", "ok", 9),
        CountRow(60.0, "f", "a", "", "first", "schema", 1),
        CountRow(120.0, "f", "a", "", "first", "refusal", 2),
        CountRow(60.0, "f", "b", "", "first", "bad_json", 3),
        CountRow(60.0, "f", "a", "triage", "attempt", "timeout", 5),
    ]
    assert timelines(OBJECTIVE, rows) == {
        "a": [Point(60.0, 9, 10), Point(120.0, 2, 2)],
        "b": [Point(60.0, 0, 3)],
    }


def test_a_late_correction_is_no_negative_event() -> None:
    """It is bad in the minute it comes, and the sum is right."""
    objective = Objective(sli=Sli.UNCORRECTED, target=0.9)
    rows = [
        CountRow(60.0, "f", "a", "", "answer", "", 10),
        CountRow(600.0, "f", "a", "", "signal", "corrected", 2),
    ]
    points = timelines(objective, rows)["a"]
    assert (sum(p.good for p in points), sum(p.total for p in points)) == (8, 10)
    assert burn_rate(objective, points) == pytest.approx(2.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=360
    )
)
def test_an_alert_means_what_it_says(counts: list[tuple[int, int]]) -> None:
    """Whatever the traffic: both windows burn above the limit, and since is inside."""
    points = [
        Point(NOW - ago * MINUTE, good, good + bad)
        for ago, (good, bad) in zip(range(len(counts), 0, -1), counts, strict=True)
    ]
    found = _look(points)
    if found is None:
        return
    limit = found.rule.factor(OBJECTIVE.window)
    assert min(found.long_burn, found.short_burn) > limit
    assert found.bad >= MIN_BAD
    assert NOW - found.rule.long - HOUR <= found.since <= NOW


@pytest.mark.parametrize("per_hour", [10, 100])
def test_a_healthy_service_stays_quiet(per_hour: int) -> None:
    """At half the budget, no page in 30 days: the minimum of bad events sees to it."""
    rng = random.Random(f"healthy {per_hour}")
    points = [
        Point(NOW - ago * MINUTE, total - bad, total)
        for ago in range(30 * 1440, 0, -1)
        for total in [sum(rng.random() < per_hour / 3600 for _ in range(60))]
        for bad in [sum(rng.random() < 0.0025 for _ in range(total))]
    ]
    pages = 0
    for end in range(72 * 60, len(points), 30):
        now = points[end].start
        fine = points[end - 360 : end]
        found = burning(OBJECTIVE, fine, [], now)
        pages += found is not None and found.rule.severity == "page"
    assert pages == 0
