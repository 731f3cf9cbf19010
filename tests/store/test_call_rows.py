"""Recent calls, on every backend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from store_backends import is_postgres, raw

from llmguard.errors import StoreError
from llmguard.store import (
    BreakerRow,
    CallFilter,
    CallGroup,
    CallRow,
    Event,
    EvidenceRow,
    Store,
)
from llmguard.store._calls import _GROUPS, _REQUEST
from llmguard.testing import VirtualClock

DAY = 86_400.0
ROW = CallRow(
    id="c1",
    at=999_000.0,
    env="prod",
    function="app.triage",
    route="triage",
    pin="p-1",
    answered="p-1",
    tier="triage",
    outcome="ok",
    request="",
    attempts=1,
    elapsed=0.25,
    content=True,
    body='{"attempts": []}',
)


def _add(store: Store, *rows: CallRow, most: int = 1_000, keep: float = 7 * DAY) -> int:
    return store.calls.add(rows, most=most, keep=keep)


def test_a_call_comes_back_as_it_was(open_again: Callable[[], Store]) -> None:
    """With its body when asked for by its id, once however often it is added."""
    assert 1 == _add(open_again(), ROW)
    calls = open_again().calls
    assert 0 == calls.add([ROW, ROW], most=1_000, keep=DAY)
    assert 0 == calls.add([], most=1_000, keep=DAY)
    assert ROW == calls.get("c1")
    assert [replace(ROW, body="")] == list(calls.list("prod"))
    assert [] == list(calls.list("staging"))
    assert calls.get("c2") is None
    assert (1, ROW.at, ROW.at) == calls.span("prod")
    assert (0, 0.0, 0.0) == calls.span("staging")


def test_half_a_character_is_kept_escaped(open_again: Callable[[], Store]) -> None:
    """A model that cuts one in two keeps no call, event or breaker from the store."""
    store, half = open_again(), "cut \ud83d"
    body = json.dumps({"said": half}, ensure_ascii=False)
    assert 2 == _add(store, ROW, replace(ROW, id="c2", request=half, body=body))
    found = store.calls.get("c2")
    assert found is not None
    assert "cut \\ud83d" == found.request
    assert {"said": half} == json.loads(found.body)
    event = Event(env="prod", kind="echo.mismatch", process="p", detail={"x": half})
    assert store.events.add(event) is not None
    assert {"x": half} == store.events.list(kind="echo.mismatch")[0].detail
    row = BreakerRow(key="f|p", state="open", reason=half, since=1.0)
    assert store.put_breaker(row) is not None
    kept = store.get_breaker("f|p")
    assert kept is not None
    assert "cut \\ud83d" == kept.reason
    evidence = EvidenceRow(
        digest="sha256:1", kind="suite", function="f", subject="s", pin_digest="d",
        verdict="PROMOTE", at=1.0, body=body,
    )  # fmt: skip
    with pytest.raises(StoreError, match="half a surrogate pair"):
        store.put_evidence(evidence)


FILTERS = {
    "everything": (CallFilter(), "dcba"),
    "function": (CallFilter(function="app.other"), "b"),
    "route": (CallFilter(route="other"), "b"),
    "outcome": (CallFilter(outcome="degraded"), "c"),
    "not ok": (CallFilter(outcome="not-ok"), "dc"),
    "tier": (CallFilter(tier="rules"), "c"),
    "no tier": (CallFilter(tier=""), "d"),
    "asked first": (CallFilter(pin="p-2"), "b"),
    "answered": (CallFilter(pin="p-3"), "c"),
    "request": (CallFilter(request="r-9"), "d"),
    "its own id": (CallFilter(request="a"), "a"),
    "since": (CallFilter(since=3.0), "dc"),
    "until": (CallFilter(until=2.0), "ba"),
    "several": (CallFilter(outcome="not-ok", tier="rules", since=1.0), "c"),
    "none": (CallFilter(outcome="ok", tier="rules"), ""),
}


@pytest.mark.parametrize("name", FILTERS)
def test_calls_are_found(store: Store, name: str) -> None:
    """By each column, and by several."""
    _add(
        store,
        replace(ROW, id="a", at=1.0),
        replace(ROW, id="b", at=2.0, function="app.other", route="other", pin="p-2"),
        replace(ROW, id="c", at=3.0, outcome="degraded", tier="rules", answered="p-3"),
        replace(
            ROW, id="d", at=4.0, outcome="timeout", tier="", answered="", request="r-9"
        ),
        keep=1e9,
    )
    wanted, ids = FILTERS[name]
    assert list(ids) == [row.id for row in store.calls.list("prod", wanted)]


def test_pages_follow_each_other_without_gaps(store: Store) -> None:
    """Also among calls that began at the same moment."""
    rows = [replace(ROW, id=f"c{i:02}", at=float(i // 4)) for i in range(20)]
    _add(store, *rows, keep=1e9)
    seen: list[str] = []
    before = None
    while page := store.calls.list("prod", before=before, limit=3):
        seen += [row.id for row in page]
        before = (page[-1].at, page[-1].id)
    assert [f"c{i:02}" for i in reversed(range(20))] == seen


def test_what_is_too_old_or_too_much_goes(store: Store, clock: VirtualClock) -> None:
    """Good calls first, so that failures stay longest; bodies go with their rows."""
    now = clock.time()
    old = [replace(ROW, id=f"o{i}", at=now - 8 * DAY) for i in range(3)]
    _add(store, *old)  # the first write tidies: these are too old already
    assert (0, 0.0, 0.0) == store.calls.span("prod")
    good = [replace(ROW, id=f"g{i}", at=now + i) for i in range(20)]
    bad = [
        replace(ROW, id=f"b{i}", at=now - 50 + i, outcome="timeout") for i in range(8)
    ]
    _add(store, *good, *bad, most=10)
    assert 28 == store.calls.span("prod")[0]
    clock.advance(61.0)
    _add(store, replace(ROW, id="last", at=now + 61.0), most=10)
    ids = [row.id for row in store.calls.list("prod")]
    assert ["last", "g19", "g18", "g17", "g16", "b7", "b6", "b5", "b4", "b3"] == ids
    assert store.calls.get("g0") is None
    assert store.calls.get("b7") is not None


def test_groups_say_what_can_be_searched_for(store: Store) -> None:
    """With how many are kept of each."""
    _add(store, ROW, replace(ROW, id="c2"), replace(ROW, id="c3", outcome="degraded"))
    about = {
        "function": "app.triage",
        "route": "triage",
        "pin": "p-1",
        "tier": "triage",
    }
    assert [
        CallGroup(**about, outcome="degraded", n=1),
        CallGroup(**about, outcome="ok", n=2),
    ] == list(store.calls.groups("prod"))
    assert [] == list(store.calls.groups("staging"))


def test_a_page_of_many_calls_takes_an_index(store: Store, store_url: str) -> None:
    """No page sorts or reads the whole table; bodies lie apart."""
    if is_postgres(store_url):
        pytest.skip("the plan of a server depends on its statistics")
    _add(store, ROW)
    with raw(store_url.replace("store.db", "store.metrics.db")) as connection:
        for source, index in (
            ("recent_calls WHERE env = 'prod'", "recent_calls_by_time"),
            ("recent_calls WHERE env = 'prod' AND at < 5 AND tier = 'x'", "by_time"),
            (f"{_REQUEST.replace('?', '1')} WHERE env = 'prod'", "by_request"),
        ):
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN SELECT * FROM {source} "  # noqa: S608 - constants
                "ORDER BY at DESC, id DESC LIMIT 50"
            ).fetchall()
            assert index in str(plan), plan
            assert "SCAN recent" not in str(plan), plan
        plan = connection.execute(
            "EXPLAIN QUERY PLAN " + _GROUPS.replace("?", "'prod'")
        ).fetchall()
        assert "COVERING INDEX recent_calls_by_kind" in str(plan), plan
