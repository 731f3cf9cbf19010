"""Status, alerts and the week, from a store with known counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import slo
from llmguard.errors import ConfigError
from llmguard.monitor import alerts
from llmguard.monitor.slo import look, statuses, watch
from llmguard.monitor.slo._budget import budget_words
from llmguard.monitor.slo._status import wilson
from llmguard.monitor.slo._watch import PERIOD, _each_exchange
from llmguard.monitor.slo._week import weeks
from llmguard.monitor.slo._words import week_markdown
from llmguard.store import BreakerRow, SqliteStore
from llmguard.testing import VirtualClock

DAY = 86_400.0


class Book:
    """A store, its clock, and a way to write counts at a time."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock(epoch=1_750_000_000.0)
        self.store = SqliteStore(
            folder / "store.db", clock=self.clock, synchronous="OFF"
        )
        self.number = 0

    def owe(self, *objectives: slo.Objective) -> None:
        documents = {
            ("app.triage", one.name): json.dumps(one.document()) for one in objectives
        }
        self.store.counts.put_objectives("prod", documents, at=self.clock.time())

    def count(
        self, n: int, *, ago: float = 60.0, pin: str = "p-1", **what: str
    ) -> None:
        [(measure, label)] = what.items()
        self.number += 1
        self.store.counts.add(
            "prod",
            [(("app.triage", pin, "", measure, label), n)],
            source="test",
            number=self.number,
            at=self.clock.time() - ago,
        )

    @property
    def now(self) -> float:
        return self.clock.time()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path)
    yield book
    book.store.close()


def test_attainment_and_budget(book: Book) -> None:
    """In all and per version; the interval is Wilson's."""
    book.owe(slo.schema_valid(0.99))
    book.count(995, first="ok", ago=DAY)
    book.count(5, first="schema", ago=DAY)
    book.count(90, first="ok", pin="p-2", ago=2 * DAY)
    book.count(10, first="bad_json", pin="p-2", ago=2 * DAY)
    book.count(7, first="timeout", ago=DAY)
    book.count(1000, first="schema", ago=40 * DAY)
    [one] = statuses(book.store, "prod", now=book.now)
    assert (one.overall.good, one.overall.total) == (1085, 1100)
    assert one.overall.budget_left == pytest.approx(1 - 15 / 11)
    assert one.overall.budget_words == "spent 1.4 times (15 bad, 11 allowed)"
    assert [(v.pin, v.good, v.total) for v in one.versions] == [
        ("p-1", 995, 1000),
        ("p-2", 90, 100),
    ]
    assert one.versions[0].budget_left == pytest.approx(0.5)
    assert one.word == "spent"
    assert json.loads(json.dumps(one.document()))["state"] == "spent"


def test_no_data(book: Book) -> None:
    """An objective without events says so, and its interval is everything."""
    book.owe(slo.answered(0.999))
    [one] = statuses(book.store, "prod", now=book.now, functions=["triage"])
    assert (one.word, one.overall.share) == ("no data", None)
    assert wilson(0, 0) == (0.0, 1.0)
    assert statuses(book.store, "prod", now=book.now, functions=["other"]) == []
    assert statuses(book.store, "staging", now=book.now) == []


def test_wilson_is_wilson() -> None:
    """Two published values: 0 of 10 and 81 of 263."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_a_bad_canary_is_seen_alone(book: Book) -> None:
    """A twentieth of the traffic, broken by a third, pages for its version only."""
    book.owe(slo.schema_valid(0.995))
    book.count(19_000, first="ok", pin="p-1")
    book.count(350, first="ok", pin="p-2")
    book.count(150, first="schema", pin="p-2")
    found = look(book.store, "prod", now=book.now)
    states = {alert.version: alert.resolved for alert in found}
    assert states == {"p-1": True, "p-2": False, "": True}
    [bad] = [alert for alert in found if not alert.resolved]
    assert bad.severity == "page"
    assert bad.signal == "slo.schema_valid"
    assert bad.command == "llmguard slo status app.triage"
    assert "150 of 500 events were bad" in bad.evidence


def test_a_quarantine_is_told(book: Book) -> None:
    """A version that its breaker took out pages, and the page ends with it."""
    row = BreakerRow(key="app.triage|p-2", state="quarantined", reason="9 of 12 broke")
    book.store.put_breaker(row)
    [alert] = look(book.store, "prod", now=book.now)
    assert (alert.signal, alert.version) == ("breaker.quarantined", "p-2")
    assert (alert.severity, alert.resolved) == ("page", False)
    assert alert.evidence == "9 of 12 broke"
    book.store.put_breaker(replace(row, state="closed", reason="", rev=1))
    [alert] = look(book.store, "prod", now=book.now)
    assert alert.resolved


def test_all_versions_together(book: Book) -> None:
    """Many versions, none with enough bad events alone: the function fires."""
    book.owe(slo.schema_valid(0.995))
    for n in range(5):
        book.count(4, first="schema", pin=f"p-{n}")
    found = [a for a in look(book.store, "prod", now=book.now) if not a.resolved]
    assert [alert.version for alert in found] == [""]


def test_watching_tells_once_and_tells_the_end(book: Book) -> None:
    """One process looks per half minute; the log has one alert and one end."""
    alerts.reset()
    alerts.use_store(book.store)
    try:
        book.owe(slo.refused(0.02))
        book.count(50, first="refusal")
        assert len(watch(book.store, now=book.now)) == 1
        assert watch(book.store, now=book.now) == []
        for _ in range(3):
            book.clock.advance(PERIOD)
            watch(book.store, now=book.now)
        assert alerts.flush(10.0)
        book.clock.advance(DAY * 4)
        assert watch(book.store, now=book.now) == []
        assert alerts.flush(10.0)
        kinds = [event.kind for event in book.store.events.list()]
        assert kinds == ["alert.page", "alert.resolved"]
    finally:
        alerts.use_store(None)
        alerts.reset()


def test_the_week(book: Book) -> None:
    """This week beside the last, with causes and alerts."""
    book.owe(slo.schema_valid(0.9, owner="ml"), slo.within(2.0, share=0.5))
    book.count(80, first="ok", ago=DAY)
    book.count(15, first="schema", ago=DAY)
    book.count(5, first="truncated", ago=DAY)
    book.count(10, first="ok", ago=8 * DAY)
    book.count(20, call="ok", ago=DAY)
    book.count(5, within="2", ago=DAY)
    valid, fast = weeks(book.store, "prod", now=book.now)
    assert (valid.good, valid.total, valid.met) == (80, 100, False)
    assert valid.spent == pytest.approx(2.0)
    assert valid.before == (10, 10)
    assert list(valid.causes) == [("p-1", "schema", 15), ("p-1", "truncated", 5)]
    assert (fast.good, fast.total) == (5, 20)
    assert list(fast.causes) == [("p-1", "over 2 s", 15)]
    text = week_markdown(valid)
    assert "(MISSED)" in text
    assert "| p-1 | schema | 15 |" in text
    assert "Owner: ml" in text
    assert json.loads(json.dumps(valid.document()))["met"] is False


def test_an_objective_of_a_newer_version(book: Book) -> None:
    """It is named, with the repair."""
    book.store.counts.put_objectives(
        "prod", {("f", "new"): '{"sli": "telepathy", "target": 0.9}'}, at=0.0
    )
    with pytest.raises(ConfigError, match="upgrade"):
        statuses(book.store, "prod", now=book.now)


def test_the_keeper_looks_by_itself(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At every exchange, but twice a minute at most; a wrong document is told once."""
    looks: list[float] = []
    module = "llmguard.monitor.slo._watch"
    monkeypatch.setattr(f"{module}.watch", lambda _: looks.append(0.0))
    monkeypatch.setattr(f"{module}._last", float("-inf"))
    _each_exchange(book.store)
    _each_exchange(book.store)
    assert len(looks) == 1

    def broken() -> None:
        raise ConfigError("no such file")

    monkeypatch.setattr(f"{module}._declare_settings", broken)
    for _ in range(2):
        monkeypatch.setattr(f"{module}._last", float("-inf"))
        _each_exchange(book.store)
    assert len(looks) == 1
    assert [one.message for one in caplog.records] == [
        "objectives are not watched: no such file"
    ]


@pytest.mark.parametrize(
    ("bad", "total", "budget", "words"),
    [
        (0, 0, 0.001, "100 % left (none bad)"),
        (0, 5_000, 0.001, "100 % left (none bad)"),
        (1, 1, 0.001, "spent (1 bad of 1; it takes 1,000 to allow one)"),
        (2, 999, 0.001, "spent (2 bad of 999; it takes 1,000 to allow one)"),
        (1, 1_000, 1 - 0.999, "0 % left (1 bad, 1 allowed)"),
        (5, 1_000, 0.01, "50 % left (5 bad, 10 allowed)"),
        (1, 31, 0.05, "35 % left (1 bad, 1.5 allowed)"),
        (15, 1_100, 0.01, "spent 1.4 times (15 bad, 11 allowed)"),
        (12_000, 20_000, 0.005, "spent 120 times (12,000 bad, 100 allowed)"),
    ],
)
def test_a_budget_in_words(bad: int, total: int, budget: float, words: str) -> None:
    """What a person reads at night: how often, of how many, and no -99,900 %."""
    assert words == budget_words(bad, total, budget)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(1e-6, 0.5))
def test_budget_words_say_spent_where_it_is(bad: int, good: int, budget: float) -> None:
    """Never a negative number; `spent` exactly where nothing is left."""
    total = bad + good
    words = budget_words(bad, total, budget)
    assert "-" not in words
    left = 1 - bad / (total * budget) if total else 1.0
    assert abs(left) < 1e-6 or words.startswith("spent") is (left < 0)
