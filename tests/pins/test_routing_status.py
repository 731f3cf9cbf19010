"""`llmguard status` and `doctor` tell who serves, who lags, and what is stale."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli
from llmguard.pins import Lock, Pin, to_text
from llmguard.store import (
    Action,
    Arm,
    Event,
    NewEntry,
    NewExperiment,
    SqliteStore,
    open_store,
)


@pytest.fixture
def store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock_path: Path
) -> Iterator[SqliteStore]:
    """The configured store of a project with one route."""
    monkeypatch.setenv("LLMGUARD_STORE", str(tmp_path / "store.db"))
    config.reset()
    pin = Pin(route="triage", provider="replay", model="a@sha256:1")
    lock_path.write_text(to_text(Lock().with_pin(pin)), encoding="utf-8")
    made = open_store()
    assert isinstance(made, SqliteStore)
    yield made
    made.close()


def _move(store: SqliteStore, pin: str, action: Action, **fields: object) -> None:
    given: dict[str, object] = {"env": "prod", "route": "triage", "actor": "ann"}
    given["base_rev"] = store.ledger.route_state("prod", "triage").rev
    store.ledger.append(NewEntry(pin=pin, action=action, **{**given, **fields}))  # type: ignore[arg-type]  # a helper's free keywords


def _beat(store: SqliteStore, name: str, **routing: object) -> None:
    places = [{"tier": "t", "pin": "p-1", "problems": routing.pop("problems", [])}]
    info = {"routing": {"env": "prod", **routing}, "functions": {"app.f": places}}
    store.beat(name, info)


def _status(*options: str) -> str:
    return CliRunner().invoke(cli, ["status", *options]).output


def test_a_route_is_told_with_who_lags(store: SqliteStore) -> None:
    """Active, canary, experiment, revision; behind and stale by name."""
    _move(store, "p-1", Action.PROMOTE)
    _move(store, "p-2", Action.CANDIDATE)
    _move(store, "p-2", Action.CANARY, weight=550)
    arms = tuple(Arm(name=name, weight=5_000) for name in ("a", "b"))
    store.experiments.declare(
        NewExperiment(env="prod", name="tone", route="triage", arms=arms, actor="ann")
    )
    _beat(store, "a:1", rev=3)
    _beat(store, "b:2", rev=2)
    _beat(store, "c:3", rev=3, stale=True, problem="disk on fire")
    [line] = json.loads(_status("--json"))["routes"]
    assert {
        "env": "prod",
        "route": "triage",
        "active": "p-1",
        "canary": "p-2",
        "weight": 550,
        "experiment": "tone",
        "shadows": [],
        "rev": 3,
        "behind": ["b:2"],
        "stale": ["c:3"],
    } == line
    printed = _status()
    assert "p-1     p-2 5.5 %  tone" in printed
    assert "behind: b:2; stale: c:3" in printed
    assert "c:3 cannot ask the store who serves (disk on fire)" in printed


def test_all_is_well_everywhere(store: SqliteStore) -> None:
    """A route of other environments is shown when somebody serves it."""
    _move(store, "p-1", Action.PROMOTE)
    assert "no process runs" in _status()
    _beat(store, "a:1", rev=1)
    assert "everywhere" in _status()
    _move(store, "p-9", Action.PROMOTE, env="staging", base_rev=0)
    routes: list[dict[str, Any]] = json.loads(_status("--json"))["routes"]
    assert ["prod"] == [line["env"] for line in routes]
    _beat(store, "s:1", rev=2, env="staging")
    routes = json.loads(_status("--json"))["routes"]
    assert [("prod", []), ("staging", [])] == [(o["env"], o["behind"]) for o in routes]


def test_what_needs_a_person_is_told(store: SqliteStore) -> None:
    """Pins that the lock does not allow, and models that were swapped today."""
    _move(store, "p-1", Action.PROMOTE)
    _beat(store, "a:1", rev=1, problems=["the ledger sends calls to p-9"])
    now = time.time()
    for kind, at in (
        ("echo.mismatch", now),
        ("fingerprint.changed", now),
        ("echo.mismatch", now - 90_000),
    ):
        detail = {"served": "other", "fingerprint": "fp-2"}
        store.events.add(
            Event(env="prod", kind=kind, route="triage", pin="p", detail=detail, at=at)
        )
    todo: list[str] = json.loads(_status("--json"))["todo"]
    since = "`llmguard which triage` says since when"
    assert [
        "a:1: the ledger sends calls to p-9",
        f"echo.mismatch: pin p of route triage served 'other': {since}",
        f"fingerprint.changed: pin p of route triage shows fingerprint 'fp-2': {since}",
    ] == todo


def _doctor() -> dict[str, dict[str, str]]:
    printed = CliRunner().invoke(cli, ["doctor", "--json"]).output
    return {found["what"]: found for found in json.loads(printed)}


def test_the_doctor_says_what_a_start_would_go_by(store: SqliteStore) -> None:
    """The store's revision; without the store, the cache and its age."""
    _move(store, "p-1", Action.PROMOTE)
    assert "environment 'prod', revision 1" in _doctor()["routing"]["detail"]
    hidden = store.path.rename(store.path.with_suffix(".away"))
    store.close()
    found = _doctor()["routing"]
    assert "fail" == found["level"]
    assert "revision 1, 1 routed by the ledger, stale, " in found["detail"]
    hidden.rename(store.path)


def test_the_doctor_of_a_new_project_has_nothing_to_say(
    lock_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No store yet is no problem of routing."""
    monkeypatch.delenv("LLMGUARD_STORE", raising=False)
    config.reset()
    assert not lock_path.exists()
    assert "routing" not in _doctor()
