"""Counts over time, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.store import Store
from llmguard.store.counts import HOUR
from llmguard.testing import VirtualClock

OK = ("app.triage", "p-1", "", "first", "ok")
BAD = ("app.triage", "p-1", "", "first", "schema")
TOKENS = ("app.triage", "p-1", "", "tokens", "input")


def _brief(rows: object) -> list[tuple[float, str, int]]:
    return [(row.start, row.label, row.n) for row in rows]  # type: ignore[attr-defined]  # count rows


def test_batches_add_up(open_again: Callable[[], Store]) -> None:
    """Two sources' counts are one sum; totals keep what minutes do not."""
    one, two = open_again().counts, open_again().counts
    assert one.add("prod", [(OK, 3), (TOKENS, 7)], source="a", number=1, at=125.0)
    assert two.add("prod", [(OK, 2), (BAD, 1)], source="b", number=1, at=190.0)
    assert _brief(two.sums("prod")) == [
        (0.0, "ok", 5),
        (0.0, "schema", 1),
        (0.0, "input", 7),
    ]
    assert _brief(one.sums("prod", since=130.0)) == [(0.0, "ok", 5), (0.0, "schema", 1)]
    assert _brief(one.sums("prod", since=180.0)) == [(0.0, "ok", 2), (0.0, "schema", 1)]
    assert list(one.sums("prod", function="app.other")) == []
    assert list(one.sums("staging")) == []


def test_a_repeated_batch_counts_once(store: Store) -> None:
    """A write whose end nobody saw is repeated without harm."""
    add = store.counts.add
    assert add("prod", [(OK, 1)], source="a", number=1, at=60.0)
    assert not add("prod", [(OK, 1)], source="a", number=1, at=60.0)
    assert add("prod", [(OK, 1)], source="a", number=2, at=61.0)
    assert not add("prod", [(OK, 1)], source="a", number=1, at=60.0)
    assert [row.n for row in store.counts.sums("prod")] == [2]


def test_minutes_and_hours_in_order(store: Store) -> None:
    """A series starts with the minute, or hour, that `since` is in."""
    for number, at in enumerate((3590.0, 3601.0, 3665.0, 7200.0), 1):
        store.counts.add("prod", [(OK, number)], source="a", number=number, at=at)
    ask = store.counts.series
    assert _brief(ask("prod", function="app.triage", since=3601.0)) == [
        (3600.0, "ok", 2),
        (3660.0, "ok", 3),
        (7200.0, "ok", 4),
    ]
    assert _brief(ask("prod", function="app.triage", since=0.0, span=HOUR)) == [
        (0.0, "ok", 1),
        (3600.0, "ok", 5),
        (7200.0, "ok", 4),
    ]


def test_old_minutes_go_and_totals_stay(store: Store) -> None:
    """Four days of minutes, 400 of hours, totals for ever."""
    day = 86_400.0
    for number, at in enumerate((0.0, 5 * day, 500 * day), 1):
        store.counts.add("prod", [(OK, 1)], source="a", number=number, at=at)
    ask = store.counts.series
    minutes = ask("prod", function="app.triage", since=0.0)
    hours = ask("prod", function="app.triage", since=0.0, span=HOUR)
    assert [row.start for row in minutes] == [500 * day]
    assert [row.start for row in hours] == [500 * day]
    assert [row.n for row in store.counts.sums("prod")] == [3]


def test_objectives_are_kept_by_name(store: Store) -> None:
    """The newest document of a name counts, and one can be dropped."""
    store.counts.put_objectives("prod", {("f", "a"): "1", ("f", "b"): "2"}, at=1.0)
    store.counts.put_objectives("prod", {("f", "a"): "3"}, at=2.0)
    store.counts.put_objectives("prod", {}, at=3.0)
    assert store.counts.objectives("prod") == {("f", "a"): "3", ("f", "b"): "2"}
    assert store.counts.objectives("staging") == {}
    assert store.counts.drop_objective("prod", "f", "b")
    assert not store.counts.drop_objective("prod", "f", "b")


def test_one_process_claims(
    open_again: Callable[[], Store], clock: VirtualClock
) -> None:
    """The first gets it; a new value, or time, frees it."""
    one, two = open_again().counts, open_again().counts
    assert not one.claim("k", "over", hold=60.0, fresh=False)
    assert one.claim("k", "page", hold=60.0)
    assert not two.claim("k", "page", hold=60.0)
    assert two.claim("k", "over", hold=60.0, fresh=False)
    assert not one.claim("k", "over", hold=60.0, fresh=False)
    assert one.claim("k", "page", hold=60.0)
    clock.advance(60)
    assert two.claim("k", "page", hold=60.0)


def test_one_process_leases(
    open_again: Callable[[], Store], clock: VirtualClock
) -> None:
    """Nobody else, and not even the holder, gets it before it ends."""
    one, two = open_again().counts, open_again().counts
    assert one.lease("k", hold=30.0)
    assert not two.lease("k", hold=30.0)
    clock.advance(30)
    assert two.lease("k", hold=30.0)


@pytest.mark.parametrize("n", [0, 1])
def test_rows_of_a_failed_batch_are_not_there(store: Store, n: int) -> None:
    """A batch is one transaction: a row that cannot be written undoes it."""
    broken = (("f", "p", "", "first", None), 1)
    with pytest.raises(Exception, match=r"NOT NULL|not-null|None|'<'"):
        store.counts.add(  # a row that no database takes
            "prod",
            [(OK, 1), broken, *[(BAD, 1)] * n],  # type: ignore[list-item]  # wrong on purpose
            source="a",
            number=1,
            at=60.0,
        )
    assert list(store.counts.sums("prod")) == []
    assert store.counts.add("prod", [(OK, 1)], source="a", number=1, at=60.0)
