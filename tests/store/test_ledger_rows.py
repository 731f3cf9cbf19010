"""Rows of the ledger, on every backend: listed, found by time, never changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from store_backends import is_postgres, make_store, raw, without_triggers

from llmguard.store import (
    Action,
    LedgerCheck,
    NewEntry,
    RouteState,
    SqliteStore,
    Stage,
    Store,
)
from llmguard.testing import VirtualClock


def _new(route: str, pin: str, action: Action, base_rev: int) -> NewEntry:
    return NewEntry(
        env="prod",
        route=route,
        pin=pin,
        action=action,
        base_rev=base_rev,
        actor="ann",
        weight=base_rev % 10_001 if action is Action.CANARY else None,
        reason="why: ü",
        lock_digest="sha256:aa",
        evidence=("sha256:bb", "sha256:cc"),
        approvals=({"by": "bob", "key": "k"},),
    )


def _fill(store: Store, count: int, clock: VirtualClock) -> None:
    """Write `count` rows, a second apart, in turn to the routes `a` and `b`."""
    revs = {"a": 0, "b": 0}
    for number in range(count):
        route = "ab"[number % 2]
        clock.advance(1.0)
        action = Action.CANARY if number > 1 else Action.CANDIDATE
        entry = _new(route, f"p-{route}", action, revs[route])
        revs[route] = store.ledger.append(entry).rev


def test_rows_come_back_as_they_were_written(
    open_again: Callable[[], Store], clock: VirtualClock
) -> None:
    """Another process reads the same rows, narrowed and ordered as asked."""
    writer, reader = open_again().ledger, open_again().ledger
    assert (0, ()) == (writer.ledger_rev(), tuple(writer.entries()))
    first = writer.append(_new("a", "p-1", Action.PROMOTE, 0))
    clock.advance(10.0)
    second = writer.append(_new("b", "p-1", Action.CANDIDATE, 0))
    third = writer.append(_new("a", "p-2", Action.CANDIDATE, 1))
    assert [first, second, third] == list(reader.entries())
    assert [third, first] == list(reader.entries(route="a", newest_first=True))
    assert [second] == list(reader.entries(env="prod", since_rev=1, limit=1))
    assert [first] == list(reader.entries(until=first.at))
    assert [] == list(reader.entries(env="test"))
    assert [] == list(reader.entries(until=first.at - 1))
    assert 3 == reader.ledger_rev()
    assert (("sha256:bb", "sha256:cc"), ({"by": "bob", "key": "k"},)) == (
        second.evidence,
        second.approvals,
    )


def test_states_of_all_routes(store: Store, clock: VirtualClock) -> None:
    """Routes that had no entry yet at a time are absent then."""
    _fill(store, 3, clock)
    now = store.ledger.route_states("prod")
    assert {"a": ("p-a", 1), "b": None} == {n: s.canary for n, s in now.items()}
    then = store.ledger.route_states("prod", at=1_000_001.0)
    assert {"a": {"p-a": Stage.CANDIDATE}} == {n: s.stages for n, s in then.items()}
    assert {} == store.ledger.route_states("test")
    empty = RouteState(env="prod", route="a")
    assert empty == store.ledger.route_state("prod", "a", at=5.0)


def test_a_clock_set_back_changes_no_answer(
    store: Store, store_url: str, clock: VirtualClock
) -> None:
    """Times never fall along the chain, so what ran at a time stays what it was."""
    _fill(store, 2, clock)
    rows = store.ledger.entries()
    other = make_store(store_url, clock=VirtualClock(epoch=5.0))
    late = other.ledger.append(_new("a", "p-a", Action.SHADOW, 1))
    assert rows[-1].at == late.at
    other.close()


def test_every_time_has_its_state(store: Store, clock: VirtualClock) -> None:
    """Stored states and steps after them agree with the rows, at every second."""
    _fill(store, 300, clock)
    for second in range(3, 301):
        route = "ab"[(second - 1) % 2]
        at = 1_000_000.0 + second
        state = store.ledger.route_state("prod", route, at=at)
        assert (second, ("p-" + route, second - 2)) == (state.rev, state.canary)
    assert store.ledger.verify().ok


def _tamper(url: str, *statements: str) -> LedgerCheck:
    """Change the tables as one would who knows how, then walk the chain."""
    assert all(without_triggers(url, statements))
    store = make_store(url)
    found = store.ledger.verify()
    store.close()
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Write one history for all who change it and put it back."""
    url = str(tmp_path_factory.mktemp("ledger") / "s.db")
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").url()
    clock = VirtualClock(epoch=1_000_000.0)
    store = make_store(url, clock=clock, durable=False)
    _fill(store, 260, clock)
    store.close()
    without_triggers(url, ["CREATE TABLE kept AS SELECT * FROM ledger"])
    return url


CHANGES = {
    "rev": "1000",
    "at": "at + 0.001",
    "env": "'test'",
    "route": "'c'",
    "pin": "'p-x'",
    "action": "'shadow'",
    "from_stage": "'retired'",
    "to_stage": "'active'",
    "weight": "9999",
    "prev_pin": "'p-x'",
    "base_rev": "base_rev + 1",
    "lock_digest": "''",
    "evidence": "evidence || ' '",
    "approvals": "'[]'",
    "actor": "'eve'",
    "reason": "X'00'",
    "prev_hash": "''",
    "hash": "upper(hash)",
}
NAMED = {"from_stage", "prev_pin", "base_rev", "prev_hash", "to_stage", "evidence"}


@pytest.mark.parametrize("row", [2, 130, 260])
@pytest.mark.parametrize("column", CHANGES)
def test_a_changed_column_is_found(filled: str, row: int, column: str) -> None:
    """Whatever is changed, in an early, a middle or the last row, the row is named."""
    change = f"UPDATE ledger SET {column} = {CHANGES[column]} WHERE rev = {row}"  # noqa: S608 - constants
    if is_postgres(filled):
        change = change.replace("X'00'", "'no bytes there'")
    found = _tamper(filled, change)
    back = ["DELETE FROM ledger", "INSERT INTO ledger SELECT * FROM kept"]
    without_triggers(filled, back)
    assert (False, row, row - 1) == (found.ok, found.bad_rev, found.entries)
    assert f"row {row}" in found.problem
    if column in NAMED:
        assert (column,) == found.columns
        assert f"`{column}`" in found.problem


@pytest.mark.parametrize(
    "wrong",
    [
        ("DELETE FROM ledger WHERE rev = 5", 5, "rev"),
        ("DELETE FROM ledger WHERE rev > 138", 139, "ledger_heads"),
        ("UPDATE ledger_heads SET rev = 7 WHERE route = 'a'", 139, "ledger_heads"),
        ("DELETE FROM ledger_heads WHERE route = 'b'", 140, "ledger_heads"),
        ("UPDATE ledger_snapshots SET state = '{}'", 127, "ledger_snapshots"),
        ("DELETE FROM ledger_snapshots", 127, "ledger_snapshots"),
        (
            "INSERT INTO ledger_snapshots VALUES ('x', 'y', 3, '{}')",
            3,
            "ledger_snapshots",
        ),
    ],
)
def test_missing_rows_and_changed_states_are_found(
    store: Store, store_url: str, clock: VirtualClock, wrong: tuple[str, int, str]
) -> None:
    """A cut tail, a hole, and states that the rows do not give."""
    statement, bad, table = wrong
    _fill(store, 140, clock)
    assert store.ledger.verify().ok
    found = _tamper(store_url, statement)
    assert (False, bad, (table,)) == (found.ok, found.bad_rev, found.columns)


def test_the_database_refuses_changes(
    store: Store, store_url: str, clock: VirtualClock
) -> None:
    """An UPDATE or a DELETE by mistake fails."""
    _fill(store, 2, clock)
    with raw(store_url) as connection:
        for statement in ("UPDATE ledger SET actor = 'eve'", "DELETE FROM ledger"):
            with pytest.raises(Exception, match="the ledger is append-only"):
                connection.execute(statement)


@pytest.mark.parametrize(
    "count",
    [
        5_000,
        pytest.param(200_000, marks=pytest.mark.slow),
        pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
    ],
)
def test_long_histories_answer_fast(
    tmp_path: Path,
    clock: VirtualClock,
    count: int,
    record_property: Callable[[str, object], None],
) -> None:
    """What ran at T is right over long histories; its time is reported."""
    store = SqliteStore(tmp_path / "s.db", clock=clock, synchronous="OFF")
    revs = {"a": 0, "b": 0}

    def many(start: int, connection: sqlite3.Connection) -> None:
        for number in range(start, min(start + 10_000, count)):
            route = "ab"[number % 2]
            clock.advance(1.0)
            action = Action.CANARY if number > 1 else Action.CANDIDATE
            new = _new(route, f"p-{route}", action, revs[route])
            revs[route] = store.ledger._append(connection, new).rev

    for start in range(0, count, 10_000):
        store._main.write(partial(many, start), timeout=600)
    took: list[float] = []
    for second in range(3, count, count // 1_000):
        at, route = 1_000_000.0 + second, "ab"[(second - 1) % 2]
        begun = time.perf_counter()
        state = store.ledger.route_state("prod", route, at=at)
        took.append(time.perf_counter() - begun)
        assert second == state.rev
    record_property("p99_ms", 1e3 * sorted(took)[len(took) * 99 // 100])
    store.close()
