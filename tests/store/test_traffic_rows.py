"""Roll-ups of traffic, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from llmguard.store import AppliedRow, ArmRow, ExposureRow, ServedRow, Store, _traffic
from llmguard.testing import VirtualClock

APPLIED = AppliedRow(process="a:1", env="prod", at=100.0, last_at=100.0, rev=1)
SERVED = ServedRow(
    process="a:1",
    env="prod",
    route="triage",
    pin="p-1",
    model="m-1",
    fingerprint="fp",
    verdict="match",
    n=2,
    last_at=650.0,
)
ARM = ArmRow(
    env="prod",
    experiment="tone",
    arm="control",
    pin="p-1",
    measure="calls",
    n=1,
    total=0.5,
    at=7200.0,
)
EXPOSED = ExposureRow(
    env="prod",
    experiment="tone",
    unit="00ff",
    arm="control",
    pin="p-1",
    rev=3,
    first_at=10.0,
    last_at=10.0,
    n=1,
)


def test_applied_rows_grow_and_follow_each_other(
    open_again: Callable[[], Store],
) -> None:
    """The end of a row moves on; the newest before a time counts, per process."""
    traffic = open_again().traffic
    second = replace(APPLIED, at=200.0, last_at=200.0, rev=2, stale=True, lock="ab")
    other = replace(APPLIED, process="b:2", experiments_rev=4)
    traffic.add_applied([APPLIED, other])
    traffic.add_applied([second, replace(APPLIED, last_at=199.0)])
    traffic.add_applied([replace(APPLIED, last_at=150.0)])
    traffic.add_applied([])
    again = open_again().traffic
    first = replace(APPLIED, last_at=199.0)
    assert [first, other] == list(again.applied("prod", at=150.0))
    assert [second, other] == list(again.applied("prod", at=200.0))
    assert [] == list(again.applied("prod", at=99.0))
    assert [] == list(again.applied("staging", at=200.0))
    assert [] == list(again.applied("prod", at=8_000.0))


def test_served_rows_are_merged_per_five_minutes(
    open_again: Callable[[], Store],
) -> None:
    """Per process, pin, model, fingerprint and verdict."""
    traffic = open_again().traffic
    traffic.add_served([SERVED, replace(SERVED, model="", verdict="unavailable")])
    traffic.add_served([replace(SERVED, n=3, last_at=700.0)])
    traffic.add_served([replace(SERVED, last_at=900.0, fingerprint="new")])
    again = open_again().traffic
    assert [
        replace(SERVED, model="", verdict="unavailable"),
        replace(SERVED, n=5, last_at=700.0),
    ] == list(again.served("prod", "triage", at=899.0))
    assert [] == list(again.served("prod", "other", at=650.0))
    pairs = [("", "fp"), ("m-1", "fp"), ("m-1", "new")]
    assert pairs == list(again.seen("prod", "p-1", since=0.0))
    assert pairs[2:] == list(again.seen("prod", "p-1", since=900.0))


def test_arms_add_up_over_hours(open_again: Callable[[], Store]) -> None:
    """`since` cuts at its hour."""
    traffic = open_again().traffic
    traffic.add_arms([ARM, replace(ARM, measure="valid")])
    traffic.add_arms([ARM, replace(ARM, at=10_800.0, n=4, total=2.0)])
    again = open_again().traffic
    assert [
        replace(ARM, n=6, total=3.0, at=10_800.0),
        replace(ARM, measure="valid"),
    ] == list(again.arms("prod", "tone"))
    [late] = again.arms("prod", "tone", since=10_900.0)
    assert 4 == late.n


def test_exposures_keep_the_first_revision(open_again: Callable[[], Store]) -> None:
    """A unit that met two arms is told."""
    traffic = open_again().traffic
    traffic.add_exposures([EXPOSED, replace(EXPOSED, unit="01")])
    traffic.add_exposures([replace(EXPOSED, rev=9, first_at=20.0, last_at=20.0, n=2)])
    again = open_again().traffic
    assert replace(EXPOSED, last_at=20.0, n=3) == again.exposures("prod", "tone")[0]
    assert ({"control": 2}, 0) == (
        again.exposed("prod", "tone"),
        again.switched("prod", "tone"),
    )
    again.add_exposures([replace(EXPOSED, arm="short")])
    assert ({"control": 2, "short": 1}, 1) == (
        again.exposed("prod", "tone"),
        again.switched("prod", "tone"),
    )
    assert 2 == len(again.exposures("prod", "tone", limit=2))


def test_exposures_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound known units are counted on and new ones left out."""
    monkeypatch.setattr(_traffic, "EXPOSED_UNITS", 2)
    units = [replace(EXPOSED, unit=f"{n:04}") for n in range(4)]
    store.traffic.add_exposures(units)
    store.traffic.add_exposures(units)
    kept = store.traffic.exposures("prod", "tone")
    assert [("0000", 2), ("0001", 2)] == [(row.unit, row.n) for row in kept]


def test_old_rows_are_dropped(store: Store, clock: VirtualClock) -> None:
    """A year and a month are kept."""
    now = clock.time()
    rows = replace(APPLIED, at=now, last_at=now), replace(SERVED, last_at=now)
    store.traffic.add_served([rows[1]])
    store.traffic.add_applied([rows[0]])
    clock.advance(401 * 86400)
    later = replace(APPLIED, at=clock.time(), last_at=clock.time())
    store.traffic.add_applied([later])
    assert [] == list(store.traffic.applied("prod", at=now))
    assert [] == list(store.traffic.served("prod", "triage", at=now))
    assert [later] == list(store.traffic.applied("prod", at=clock.time()))
