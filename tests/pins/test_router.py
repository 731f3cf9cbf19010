"""The router: the table follows the store, and outlives it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmguard import config, pins
from llmguard.pins import Lock, Pin, to_text
from llmguard.pins.router import Router
from llmguard.pins.routing import RoutingTable
from llmguard.store import (
    Action,
    Arm,
    NewEntry,
    NewExperiment,
    SqliteStore,
    Stage,
    Store,
)
from llmguard.testing import VirtualClock

ONE, TWO = "p-1", "p-2"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0)


@pytest.fixture
def store(tmp_path: Path, clock: VirtualClock) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store.db", clock=clock)
    yield made
    made.close()


@pytest.fixture
def router(
    store: SqliteStore, clock: VirtualClock, lock_path: Path
) -> Iterator[Router]:
    """Make a router of a project whose lock has one pin."""
    _write_lock(lock_path)
    made = Router(store=lambda: store, clock=clock)
    yield made
    made.stop()


def _write_lock(path: Path, model: str = "a@sha256:1") -> None:
    pin = Pin(route="triage", provider="replay", model=model)
    path.write_text(to_text(Lock().with_pin(pin)), encoding="utf-8")
    pins.forget()


def _move(store: Store, pin: str, action: Action, **fields: object) -> None:
    given: dict[str, object] = {"env": "prod", "route": "triage", "actor": "ann"}
    given["base_rev"] = store.ledger.route_state("prod", "triage").rev
    store.ledger.append(NewEntry(pin=pin, action=action, **{**given, **fields}))  # type: ignore[arg-type]  # a helper's free keywords


def _active(table: RoutingTable) -> str | None:
    state = table.route("triage")
    return None if state is None else state.active


def _broken() -> Store:
    raise OSError("no route to host")


def _elsewhere(clock: VirtualClock) -> Router:
    """Return the router of a process that starts now, and finds no store."""
    return Router(store=_broken, clock=clock)


def test_the_table_follows_the_store(router: Router, store: SqliteStore) -> None:
    """Every move, and every experiment; nothing new means the very same table."""
    assert (None, 0) == (_active(router.refresh()), router.table.rev)
    _move(store, ONE, Action.PROMOTE)
    _move(store, TWO, Action.CANDIDATE)
    assert (ONE, 2, False) == (
        _active(router.refresh()),
        router.table.rev,
        router.table.stale,
    )
    same = router.table
    assert same is router.refresh()
    _move(store, TWO, Action.PROMOTE)
    _move(store, ONE, Action.ROLLBACK)
    state = router.refresh().route("triage")
    assert state is not None
    assert (ONE, Stage.QUARANTINED) == (state.active, state.stages[TWO])
    arms = tuple(Arm(name=name, weight=5_000) for name in ("a", "b"))
    new = NewExperiment(env="prod", name="x", route="triage", arms=arms, actor="ann")
    made = store.experiments.declare(new)
    assert {"triage": made} == dict(router.refresh().experiments)


def test_other_environments_are_others(
    router: Router, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry elsewhere moves the number and no route."""
    _move(store, ONE, Action.PROMOTE)
    router.refresh()
    _move(store, TWO, Action.PROMOTE, env="staging", base_rev=0)
    assert (ONE, 2) == (_active(router.refresh()), router.table.rev)
    monkeypatch.setenv("LLMGUARD_ENV", "staging")
    config.reset()
    assert (TWO, "staging") == (_active(router.refresh()), router.table.env)


def test_a_thread_sees_it_without_a_call(router: Router, store: SqliteStore) -> None:
    """Also of a process that does nothing else; `stop` ends it."""
    seen = threading.Event()
    router.on_change(lambda table: seen.set() if _active(table) == ONE else None)
    router.start()
    router.start()
    _move(store, ONE, Action.PROMOTE)
    assert seen.wait(10)
    assert "llmguard-router" in {thread.name for thread in threading.enumerate()}
    router.stop()
    assert "llmguard-router" not in {thread.name for thread in threading.enumerate()}


def test_a_store_that_hangs_does_not_hold_up_a_start(
    router: Router, store: SqliteStore, clock: VirtualClock
) -> None:
    """The cache serves after a moment; the store, once it answers."""
    _move(store, ONE, Action.PROMOTE)
    router.refresh()
    answers = threading.Event()
    fresh = threading.Event()

    def slow() -> Store:
        answers.wait(30)
        return store

    other = Router(store=slow, clock=clock)
    other.start(patience=0.01)
    assert (ONE, True) == (_active(other.table), other.table.stale)
    assert "has not answered within 0.01 s" in other.table.problem
    other.on_change(lambda table: None if table.stale else fresh.set())
    answers.set()
    assert fresh.wait(10)
    assert (ONE, False) == (_active(other.table), other.table.stale)
    other.stop()


def test_a_store_that_is_gone_leaves_the_last_table(
    router: Router, store: SqliteStore, clock: VirtualClock
) -> None:
    """Stale, with the reason; fresh again when the file is back."""
    _move(store, ONE, Action.PROMOTE)
    router.refresh()
    clock.advance(30)
    router.refresh()
    hidden = store.path.rename(store.path.with_suffix(".away"))
    clock.advance(5)
    table = router.refresh()
    assert (ONE, True, 5.0) == (_active(table), table.stale, table.age(clock.time()))
    assert "deleted or replaced" in table.problem
    assert table is router.refresh()
    hidden.rename(store.path)
    assert (False, "", ONE) == (
        router.refresh().stale,
        router.table.problem,
        _active(router.table),
    )


def test_a_locked_store_can_still_be_asked(router: Router, store: SqliteStore) -> None:
    """Whoever holds its lock stops writers, not those who look."""
    _move(store, ONE, Action.PROMOTE)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert (ONE, False) == (_active(router.refresh()), router.table.stale)
    other.rollback()
    other.close()


def test_a_start_without_the_store_takes_the_cache(
    router: Router, store: SqliteStore, clock: VirtualClock
) -> None:
    """The same states and experiments, marked stale, with their age."""
    _move(store, ONE, Action.PROMOTE)
    _move(store, TWO, Action.CANDIDATE)
    _move(store, TWO, Action.CANARY, weight=500)
    arms = tuple(Arm(name=name, weight=5_000) for name in ("a", "b"))
    store.experiments.declare(
        NewExperiment(env="prod", name="x", route="triage", arms=arms, actor="ann")
    )
    router.refresh()
    clock.advance(100)
    router.refresh()  # which writes down that the store still agrees
    clock.advance(20)
    other = _elsewhere(clock)
    table = other.refresh()
    assert (router.table.routes, router.table.experiments) == (
        table.routes,
        table.experiments,
    )
    assert (3, True, 20.0) == (table.rev, table.stale, table.age(clock.time()))
    assert ("no route to host", "") == (table.problem, other.cache_problem)


def test_a_start_without_store_and_cache_is_not_unpinned(
    clock: VirtualClock, lock_path: Path
) -> None:
    """An empty table: the lock decides; and it is said to be stale."""
    _write_lock(lock_path)
    other = _elsewhere(clock)
    table = other.refresh()
    assert ({}, True, "prod") == (dict(table.routes), table.stale, table.env)
    assert "there is no cache at" in other.cache_problem


def test_a_cache_of_another_lock_keeps_what_is_quarantined(
    router: Router, store: SqliteStore, clock: VirtualClock, lock_path: Path
) -> None:
    """It says nothing about who serves, but the bad stays bad."""
    _move(store, ONE, Action.PROMOTE)
    _move(store, TWO, Action.CANDIDATE)
    _move(store, TWO, Action.PROMOTE)
    _move(store, ONE, Action.ROLLBACK)
    router.refresh()
    _write_lock(lock_path, "b@sha256:2")
    other = _elsewhere(clock)
    state = other.refresh().route("triage")
    assert state is not None
    assert (None, None, {TWO: Stage.QUARANTINED}) == (
        state.active,
        state.canary,
        dict(state.stages),
    )
    assert "under another models.lock" in other.cache_problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env": "staging"}, "is of environment 'staging'"),
        ({"store": "x"}, "or of another store"),
        ({"rev": 99}, "is damaged"),
        ({"routes": None}, "is damaged"),
    ],
)
def test_a_wrong_cache_is_refused(
    router: Router,
    store: SqliteStore,
    clock: VirtualClock,
    change: dict[str, object],
    message: str,
) -> None:
    """Whatever it says, unless all of it is what was written for this process."""
    import hashlib

    _move(store, ONE, Action.PROMOTE)
    router.refresh()
    [file] = Path(".llmguard").glob("routing-prod.json")
    content = {**json.loads(file.read_text("utf-8")), **change}
    if "damaged" not in message:  # a good file of somebody else
        content.pop("sha256")
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        content["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    file.write_text(json.dumps(content), encoding="utf-8")
    other = _elsewhere(clock)
    assert {} == dict(other.refresh().routes)
    assert message in other.cache_problem
    file.write_text("{", encoding="utf-8")
    again = _elsewhere(clock)
    assert ({}, True) == (
        dict(again.refresh().routes),
        "cannot be" in again.cache_problem,
    )


def test_too_old_is_closed(
    router: Router,
    store: SqliteStore,
    clock: VirtualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only where `max_stale` is set, and only until the store answers."""
    _move(store, ONE, Action.PROMOTE)
    router.refresh()
    hidden = store.path.rename(store.path.with_suffix(".away"))
    clock.advance(1_000)
    assert not router.refresh().closed
    monkeypatch.setenv("LLMGUARD_MAX_STALE", "600")
    config.reset()
    assert router.refresh().closed
    hidden.rename(store.path)
    assert not router.refresh().closed


def test_transitions_are_told_once(
    router: Router, store: SqliteStore, clock: VirtualClock, lock_path: Path
) -> None:
    """Every table, every lock, and going stale; in order, and again after a failure."""
    router.refresh()
    _move(store, ONE, Action.PROMOTE)
    clock.advance(1)
    router.refresh()
    router.refresh()
    _write_lock(lock_path, "b@sha256:2")
    clock.advance(1)
    router.refresh()
    store.path.rename(store.path.with_suffix(".away"))
    clock.advance(1)
    router.refresh()
    rows = router.take_applied()
    assert [0.0, 1.0, 2.0, 3.0] == [row.at - 1_000_000 for row in rows]
    assert [0, 1, 1, 1] == [row.rev for row in rows]
    assert [False, False, False, True] == [row.stale for row in rows]
    assert rows[1].lock != rows[2].lock == rows[3].lock
    assert [] == router.take_applied()
    router.give_back(rows[:2])
    assert rows[:2] == router.take_applied()


def test_an_unwritable_cache_is_told(
    router: Router, store: SqliteStore, tmp_path: Path
) -> None:
    """It costs nothing but the warm start."""
    (tmp_path / ".llmguard").write_text("a file", encoding="utf-8")
    _move(store, ONE, Action.PROMOTE)
    assert ONE == _active(router.refresh())
    assert "cannot be written" in router.cache_problem
    assert "cannot be written" in str(router.about()["cache_problem"])
