"""Counters and heartbeats, on every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmguard.outcome import Kind
from llmguard.store import Store
from llmguard.testing import VirtualClock


def _row(at: float, **fields: object) -> Mapping[str, object]:
    row: dict[str, object] = {
        "process": "p1",
        "function": "app.triage",
        "tier": "remote",
        "pin": "p-1",
        "kind": Kind.OK,
        "n": 2,
        "last_at": at,
        "total_elapsed": 0.5,
    }
    return {**row, **fields}


def test_increments_are_merged(open_again: Callable[[], Store]) -> None:
    """Two processes' counts add up, the last time is the latest."""
    open_again().add_activity([_row(600.0), _row(60.0, kind="timeout", n=1)])
    other = open_again()
    other.add_activity([_row(610.0, process="p2", n=3)])
    assert list(other.activity()) == [
        {
            "function": "app.triage",
            "tier": "remote",
            "pin": "p-1",
            "kind": kind,
            "n": n,
            "last_at": last,
            "total_elapsed": elapsed,
        }
        for kind, n, last, elapsed in (("ok", 5, 610.0, 1.0), ("timeout", 1, 60.0, 0.5))
    ]


def test_since_leaves_out_older_minutes(store: Store) -> None:
    """`since` cuts at the minute it falls into."""
    store.add_activity([_row(59.0, n=1), _row(60.0, n=10), _row(180.0, n=100)])
    assert [row["n"] for row in store.activity(since=61.0)] == [110]


def test_nothing_to_add(store: Store) -> None:
    """An empty flush writes nothing."""
    store.add_activity([])
    assert list(store.activity()) == []


def test_heartbeats(store: Store, clock: VirtualClock) -> None:
    """The last beat of each process counts, and silent ones are forgotten in a day."""
    store.beat("a", {"pid": 1})
    clock.advance(3600)
    store.beat("b", {"pid": 2})
    store.beat("b", {"pid": 3})
    assert [(row["process"], row["info"]) for row in store.processes()] == [
        ("a", {"pid": 1}),
        ("b", {"pid": 3}),
    ]
    clock.advance(86400 - 3600 + 1)
    store.beat("c", {})
    assert [row["process"] for row in store.processes()] == ["b", "c"]


def test_old_counts_are_dropped(store: Store, clock: VirtualClock) -> None:
    """Two weeks are kept."""
    store.add_activity([_row(clock.time())])
    clock.advance(15 * 86400)
    store.beat("a", {})
    assert list(store.activity()) == []
