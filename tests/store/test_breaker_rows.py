"""Published breaker states, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from llmguard.store import BreakerRow, Store

ROW = BreakerRow(
    key="f|p-1",
    state="quarantined",
    reason="echo differs",
    since=10.0,
    until=20.0,
    actor="ann",
)


def test_round_trip(open_again: Callable[[], Store]) -> None:
    """What one process publishes another one reads, field by field."""
    written = open_again().put_breaker(ROW)
    assert written == replace(ROW, rev=1)
    other = open_again()
    assert other.get_breaker("f|p-1") == written
    assert other.get_breaker("f|p-2") is None


def test_compare_and_set(store: Store) -> None:
    """Whoever read an old revision writes nothing."""
    first = store.put_breaker(ROW)
    assert first is not None
    assert store.put_breaker(ROW) is None
    second = store.put_breaker(replace(first, state="closed", until=None))
    assert second == replace(ROW, state="closed", until=None, rev=2)
    assert store.put_breaker(replace(first, state="open")) is None
    assert store.get_breaker(ROW.key) == second


def test_revision_moves_with_every_write_only(store: Store) -> None:
    """The polled number stands still while nothing is written."""
    before = store.breakers_rev()
    store.put_breaker(ROW)
    after = store.breakers_rev()
    store.put_breaker(ROW)
    assert (after - before, store.breakers_rev() - after) == (1, 0)


def test_list_is_sorted(store: Store) -> None:
    """Rows come by key."""
    for key in ("b", "c", "a"):
        store.put_breaker(replace(ROW, key=key))
    assert [row.key for row in store.list_breakers()] == ["a", "b", "c"]


def test_racing_writers_lose_nothing(open_again: Callable[[], Store]) -> None:
    """Forty increments by four writers over compare-and-set end at forty."""
    stores = [open_again(), open_again()]
    stores[0].put_breaker(replace(ROW, reason="0"))

    def add(number: int) -> None:
        store = stores[number % 2]
        for _ in range(10):
            while True:
                row = store.get_breaker(ROW.key)
                assert row is not None
                if store.put_breaker(replace(row, reason=str(int(row.reason) + 1))):
                    break

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    row = stores[1].get_breaker(ROW.key)
    assert row is not None
    assert (row.reason, row.rev) == ("40", 41)
