"""What processes publish of what they have seen, on both backends."""

from __future__ import annotations

from collections.abc import Callable

from llmguard.store import Store
from llmguard.testing import VirtualClock


def test_totals_replace_each_other_per_process(
    store: Store, open_again: Callable[[], Store]
) -> None:
    """Every process reads them all."""
    assert [] == list(store.breaker_counts())
    store.put_breaker_counts("one", {"f|p-1": (3, 1), "g|p-2": (1, 0)})
    other = open_again()
    other.put_breaker_counts("two", {"f|p-1": (5, 0)})
    other.put_breaker_counts("one", {"f|p-1": (4, 1)})
    found = {(c.key, c.process): (c.calls, c.fails) for c in store.breaker_counts()}
    assert {
        ("f|p-1", "one"): (4, 1),
        ("g|p-2", "one"): (1, 0),
        ("f|p-1", "two"): (5, 0),
    } == found


def test_processes_that_are_gone_are_forgotten(
    store: Store, clock: VirtualClock
) -> None:
    """After a day without news."""
    store.put_breaker_counts("one", {"f|p-1": (3, 1)})
    clock.advance(86_401)
    store.put_breaker_counts("two", {"f|p-1": (5, 0)})
    assert ["two"] == [count.process for count in store.breaker_counts()]
