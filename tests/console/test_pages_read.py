"""What the pages read, as values: stages over time, calls in buckets, moved marks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_backends import emptied, make_store

from llmguard.monitor.sketch import Sketch
from llmguard.pins import Lock, Pin
from llmguard.store import Action, NewEntry, SketchRow, Store
from llmguard.store.monitoring import BaselineRow
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console._asked import query
from llmguard_fallbacks.console.health._monitor import monitored, watch
from llmguard_fallbacks.console.health._read import health
from llmguard_fallbacks.console.versions._read import overview
from llmguard_fallbacks.console.versions._route import route_page

HOUR = 3_600.0
NOW = 1_000_000.0 + 10 * HOUR
OLD, NEW = (
    Pin(
        route="triage",
        provider="openai",
        model=f"gpt-5.2-2025-12-{day}",
        version_class="versioned",
    )
    for day in ("07", "08")
)
LOCK = Lock().with_pin(OLD).with_pin(NEW)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Store]:
    """The same on either store."""
    url = str(tmp_path / "s.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").url()
        make_store(url).close()
        emptied(url)
    made = make_store(url, clock=clock, durable=False)
    yield made
    made.close()


@pytest.fixture
def move(store: Store, clock: VirtualClock) -> Callable[..., None]:
    """Move a version after some hours."""

    def move(pin: Pin, action: Action, hours: float, weight: int | None = None) -> None:
        clock.advance(hours * HOUR)
        state = store.ledger.route_state("prod", "triage")
        store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=pin.id,
                action=action,
                base_rev=state.rev,
                actor="ann",
                weight=weight,
            )
        )

    return move


def _history(move: Callable[..., None]) -> None:
    move(OLD, Action.PROMOTE, 1)
    move(NEW, Action.CANDIDATE, 1)
    move(NEW, Action.CANARY, 1, weight=500)
    move(NEW, Action.CANARY, 1, weight=2_000)
    move(NEW, Action.PROMOTE, 1)
    move(OLD, Action.ROLLBACK, 2)


def test_stages_are_told_as_stretches(store: Store, move: Callable[..., None]) -> None:
    """Each from when to when; a canary's shares apart; the last ones up to now."""
    _history(move)
    page = route_page(store, "prod", "triage", lock=LOCK, now=NOW, span=20 * HOUR)
    assert page is not None
    hours = {
        (one.pin, one.stage, one.weight): (
            (one.start - 1_000_000.0) / HOUR,
            (one.end - 1_000_000.0) / HOUR,
        )
        for one in page.stood
    }
    assert {
        (NEW.id, "candidate", None): (2, 3),
        (NEW.id, "canary", 500): (3, 4),
        (NEW.id, "canary", 2_000): (4, 5),
        (NEW.id, "active", None): (5, 7),
        (NEW.id, "quarantined", None): (7, 10),
        (OLD.id, "retired", None): (5, 7),
        (OLD.id, "active", None): (7, 10),
    } == hours
    late = route_page(store, "prod", "triage", lock=LOCK, now=NOW, span=4 * HOUR)
    assert late is not None
    assert {("active", 6, 7), ("quarantined", 7, 10)} == {
        (
            one.stage,
            (one.start - 1_000_000.0) / HOUR,
            (one.end - 1_000_000.0) / HOUR,
        )
        for one in late.stood
        if one.pin == NEW.id
    }


def test_moves_come_in_pages(store: Store, move: Callable[..., None]) -> None:
    """The newest first, each once."""
    move(OLD, Action.PROMOTE, 1)
    move(NEW, Action.CANDIDATE, 1)
    for weight in range(1, 60):
        move(NEW, Action.CANARY, 0.001, weight=weight)
    seen: list[int] = []
    before = 0
    while True:
        page = route_page(
            store, "prod", "triage", lock=LOCK, now=NOW, span=HOUR, before=before
        )
        assert page is not None
        seen += [one.rev for one in page.moves]
        before = page.more
        if not before:
            break
    assert list(range(61, 0, -1)) == seen


def test_an_overview_without_a_lock_still_says_what_serves(
    store: Store, move: Callable[..., None]
) -> None:
    """Models and owners are missing then, and where a rollback leads is not."""
    _history(move)
    [one] = overview(store, "prod", lock=None, now=NOW).routes
    assert one.serves is not None
    assert (OLD.id, "", "") == (one.serves.id, one.serves.model, one.rollback_to)
    assert [NEW.id] == [each.id for each in one.quarantined]
    assert "" == one.rollback_of
    by_lock = overview(store, "dev", lock=LOCK, now=NOW)
    assert [("triage", True)] == [(o.route, o.by_lock) for o in by_lock.routes]


def test_calls_are_counted_in_buckets(store: Store) -> None:
    """By the minute within hours, by the hour beyond; failures by kind."""
    rows = [
        (("app.f", "p", "", "call", "ok"), 7),
        (("app.f", "p", "", "call", "degraded"), 2),
        (("app.f", "p", "", "call", "timeout"), 1),
        (("app.f", "p", "", "first", "ok"), 99),
    ]
    store.counts.add("prod", rows, source="a", number=1, at=NOW - 90)
    store.counts.add("prod", rows, source="a", number=2, at=NOW - 3 * HOUR)
    [near] = health(store, "prod", now=NOW, span=HOUR).calls
    assert (60.0, 10, 0.2) == (near.span, near.total(), near.share("degraded"))
    assert {"timeout": 1} == near.kinds
    [far] = health(store, "prod", now=NOW, span=24 * HOUR).calls
    assert (HOUR, 20, 2) == (far.span, far.total(), len(far.buckets))
    assert health(store, "dev", now=NOW, span=HOUR).empty


def _sketch(hours: float, pin: str, share: float) -> SketchRow:
    made = Sketch()
    for i in range(100):
        made.told("ok" if i < 90 else "schema")
        made.read(["polite", "flat"], [i < share * 100, True])
        made.sizes["chars"].add(100.0)
    hour = int((NOW - hours * HOUR) // HOUR)
    body = made.to_json()
    return SketchRow(env="prod", function="app.f", pin=pin, hour=hour, body=body)


def test_marks_that_moved_most_come_first(store: Store) -> None:
    """Against the baseline where there is one, which is read without numpy."""
    for row in (_sketch(3, "p-1", 0.5), _sketch(1, "p-2", 0.1)):
        store.monitor.add_sketch(row, lambda one, two: one)
    view = watch(store, "prod", "app.f", now=NOW, span=6 * HOUR)
    assert ["p-2", "p-1"] == [one.pin for one in view.versions]
    assert [("polite", None), ("flat", None)] == [
        (one.name, one.expected) for one in view.marks
    ]
    assert 0.1 == pytest.approx(view.versions[0].failed)
    body = {
        "lengths": [50, 80, 100, 120, 150],
        "marks": ["flat", "polite"],
        "rates": {"shape": [2], "f4": "AACAPwAAAD8="},
    }
    store.monitor.put_baseline(
        BaselineRow(
            env="prod",
            function="app.f",
            pin="p-1",
            extractor="e",
            digest="d",
            outputs=400,
            at=NOW,
            body=json.dumps(body),
        )
    )
    view = watch(store, "prod", "app.f", now=NOW, span=6 * HOUR)
    assert (80.0, 120.0) == view.lengths
    assert {"flat": 1.0, "polite": 0.5} == view.rates
    assert ("app.f", "app.g") == monitored(store, "prod", ["app.g", "app.f"])


def test_addresses_leave_out_what_is_empty() -> None:
    """And quote what is not."""
    assert "?a=x+y&c=0" == query(a="x y", b="", c=0, d=None)
    assert "" == query(a="")
