"""The event log, on every backend."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from store_backends import raw

from llmguard.errors import ConfigError
from llmguard.store import Event, Store
from llmguard.testing import VirtualClock


def _event(kind: str = "echo.mismatch", **fields: object) -> Event:
    given: dict[str, object] = {"env": "prod", "route": "triage", "pin": "p-1"}
    return Event(kind=kind, **{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords


def test_events_come_back_as_written(
    open_again: Callable[[], Store], clock: VirtualClock
) -> None:
    """The store stamps those without a time, and counts from one."""
    detail = {"served": "other-1", "n": 3, "é": [1.5, None]}
    first = open_again().events.add(_event(detail=detail, process="host:1"))
    clock.advance(5)
    second = open_again().events.add(_event("alarm.drift", at=3.5))
    assert [first, second] == list(open_again().events.list())
    assert first is not None
    assert second is not None
    assert (1, clock.time() - 5, detail) == (first.seq, first.at, dict(first.detail))
    assert (2, 3.5) == (second.seq, second.at)


def test_filters_narrow_the_list(store: Store) -> None:
    """Each bound alone; a kind that ends in a dot takes all below it."""
    add, listed = store.events.add, store.events.list
    add(_event("echo.mismatch", at=1.0))
    add(_event("echo.unavailable", at=2.0, env="staging"))
    add(_event("echoes.other", at=3.0, route="", pin=""))
    add(_event("alarm.drift", at=4.0, pin="p-2"))

    def seqs(**bounds: object) -> list[int]:
        return [event.seq for event in listed(**bounds)]  # type: ignore[arg-type]  # a helper's free keywords

    assert [1, 2, 3, 4] == seqs()
    assert [1, 2] == seqs(kind="echo.")
    assert [1] == seqs(kind="echo.mismatch")
    assert [] == seqs(kind="echo")
    assert [2] == seqs(env="staging")
    assert [3] == seqs(route="")
    assert [4] == seqs(pin="p-2")
    assert [2, 3] == seqs(since=2.0, until=3.0)
    assert [3, 4] == seqs(after=2)
    assert [4, 3] == seqs(newest_first=True, limit=2)


def test_one_of_many_reports_is_kept(open_again: Callable[[], Store]) -> None:
    """Eight writers that notice the same thing leave one row, and one knows it."""
    stores = [open_again() for _ in range(2)]
    wrote: list[Event | None] = []

    def report(number: int) -> None:
        event = _event(process=f"host:{number}")
        wrote.append(stores[number % 2].events.add(event, once="prod:p-1:other-1"))

    threads = [threading.Thread(target=report, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [kept] = [event for event in wrote if event is not None]
    assert [kept] == list(stores[0].events.list())
    assert stores[0].events.add(_event(), once="another") is not None
    assert 2 == len(stores[1].events.list())


def test_events_are_append_only(store: Store, store_url: str) -> None:
    """The database itself refuses to change or lose one."""
    store.events.add(_event())
    with raw(store_url) as connection:
        for sql in ("UPDATE events SET kind = 'x.y'", "DELETE FROM events"):
            with pytest.raises(Exception, match="events are append-only"):
                connection.execute(sql)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"env": ""}, "`env` of an event is empty"),
        ({"kind": "mismatch"}, "`kind` .* is 'mismatch'; .*joined by dots"),
        ({"kind": "Echo.mismatch"}, "`kind` .* is 'Echo.mismatch'"),
        ({"detail": {"x": object()}}, "`detail` of the event 'echo.mismatch'"),
        ({"detail": {"x": float("nan")}}, "`detail` .* finite numbers"),
    ],
)
def test_wrong_events_are_refused(fields: dict[str, object], message: str) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match=message):
        _event(**{"kind": "echo.mismatch", **fields})  # type: ignore[arg-type]  # wrong on purpose
