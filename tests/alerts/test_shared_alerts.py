"""Alerts of processes that share a store: one tells, the log keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmguard.monitor import alerts
from llmguard.monitor.alerts import Alert
from llmguard.monitor.alerts._send import _claim
from llmguard.store import SqliteStore, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that alerts are shared through."""
    store = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    alerts.use_store(store)
    yield store
    alerts.use_store(None)
    store.close()


def test_one_process_tells(store: Store, alert: Alert) -> None:
    """The second process that sees the same finds it told, the end included."""
    over = replace(alert, resolved=True)
    told = [_claim(one) for one in (over, alert, alert, over, over, alert)]
    assert told == [False, True, False, True, False, True]
    events = store.events.list(kind="alert.")
    assert [event.kind for event in events] == [
        "alert.page",
        "alert.resolved",
        "alert.page",
    ]
    assert events[0].pin == "triage-1.1"
    assert events[0].detail["command"] == "llmguard slo status app.triage"


def test_it_reaches_the_log(store: Store, alert: Alert) -> None:
    """What is sent is an event, though no sink but the log is there."""
    alerts.reset()
    alerts.send(alert)
    assert alerts.flush(10.0)
    assert [event.kind for event in store.events.list()] == ["alert.page"]
    alerts.reset()


def test_without_a_store(alert: Alert) -> None:
    """A process on its own sends what it sees, and the end of what it has sent."""
    alerts.reset()
    over = replace(alert, resolved=True)
    assert not _claim(over)
    alerts.send(alert)
    assert _claim(over)
    alerts.reset()
