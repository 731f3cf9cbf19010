"""Baselines, learnt outputs and hourly figures in every backend."""

from __future__ import annotations

from dataclasses import replace

from llmguard.store import BaselineRow, SketchRow, Store
from llmguard.testing import VirtualClock

ROW = BaselineRow(
    env="prod",
    function="app.f",
    pin="p-1",
    extractor="e1",
    digest="sha256:1",
    outputs=400,
    at=5.0,
    body="{}",
)


def test_a_baseline_is_frozen_once(store: Store) -> None:
    """Whoever comes second keeps the first one's, unless it says otherwise."""
    assert store.monitor.put_baseline(ROW)
    assert not store.monitor.put_baseline(replace(ROW, digest="sha256:2"))
    assert ROW == store.monitor.get_baseline("prod", "app.f", "p-1")
    newer = replace(ROW, digest="sha256:3", extractor="e2", at=6.0)
    assert store.monitor.put_baseline(newer, replace=True)
    assert newer == store.monitor.get_baseline("prod", "app.f", "p-1")
    other = replace(ROW, pin="p-2", at=9.0)
    store.monitor.put_baseline(other)
    listed = store.monitor.list_baselines("prod", function="app.f")
    assert [replace(other, body=""), replace(newer, body="")] == list(listed)
    assert [] == list(store.monitor.list_baselines("stage"))
    assert store.monitor.drop_baseline("prod", "app.f", "p-1")
    assert not store.monitor.drop_baseline("prod", "app.f", "p-1")
    assert store.monitor.get_baseline("prod", "app.f", "p-1") is None


def test_outputs_are_gathered_until_there_are_enough(store: Store) -> None:
    """Of all processes, in the order of time; another extractor's are forgotten."""
    site = ("prod", "app.f", "p-1")
    assert 2 == store.monitor.learn(*site, "e1", [(2.0, "b"), (3.0, "c")], most=3)
    assert 3 == store.monitor.learn(*site, "e1", [(1.0, "a"), (4.0, "d")], most=3)
    assert [(1.0, "a"), (2.0, "b"), (3.0, "c")] == store.monitor.learnt(*site, "e1")
    assert 3 == store.monitor.learn(*site, "e1", [], most=3)
    assert 1 == store.monitor.learn(*site, "e2", [(9.0, "z")], most=3)
    assert [] == store.monitor.learnt(*site, "e1")
    store.monitor.put_baseline(ROW)
    assert [] == store.monitor.learnt(*site, "e2")


def test_figures_of_an_hour_add_up(store: Store, clock: VirtualClock) -> None:
    """In one transaction; what is older than 400 days goes."""
    hour = int(clock.time() // 3600) + 500 * 24
    row = SketchRow(env="prod", function="app.f", pin="p-1", hour=hour, body="1")
    for _ in range(3):
        store.monitor.add_sketch(row, lambda a, b: str(int(a) + int(b)))
    later = replace(row, hour=hour + 1)
    store.monitor.add_sketch(later, lambda a, _: a)
    found = store.monitor.sketches("prod")
    assert [replace(row, body="3"), later] == list(found)
    assert [later] == list(store.monitor.sketches("prod", since=(hour + 1) * 3600.0))
    assert [] == list(store.monitor.sketches("prod", function="app.g"))
    clock.advance(1_000 * 86_400)
    store.monitor.add_sketch(replace(row, hour=hour + 600 * 24), lambda a, _: a)
    assert 1 == len(store.monitor.sketches("prod"))
