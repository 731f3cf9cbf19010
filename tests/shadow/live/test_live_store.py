"""Shadows that processes share: from the ledger, from decorators, within one budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmguard import INJECTED, Model, call_context, contract, pinned
from llmguard.errors import ConfigError, LockError
from llmguard.pins import load_lock, to_text
from llmguard.pins.routing import RoutingTable
from llmguard.shadow.live import ShadowOptions, shadow
from llmguard.shadow.live._manage import start_shadow, stop_shadow
from llmguard.store import Action, LedgerMoveError, NewEntry, RouteState, Stage
from llmguard.testing import HttpError, WrongModel

Project = Any
"""The fixture `project`, which its conftest defines."""
ALL = ShadowOptions(share=1, double=0)


def _triage() -> Callable[[str], Any]:
    @contract({"type": "object", "properties": {"human": {"type": "boolean"}}})
    @pinned("triage")
    def triage(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    return triage


def _start(project: Project, options: ShadowOptions = ALL) -> str:
    run = start_shadow(
        project.store,
        "triage",
        project.b.id,
        options,
        actor="ann",
        clock=project.clock,
    )
    return run.id


def test_a_command_reaches_every_process_and_what_they_find_adds_up(
    project: Project,
) -> None:
    """One exchange later they sample; their counts and pairs are one."""
    triage, other = _triage(), project.process()
    triage("before")
    key = _start(project)
    project.tick()
    for shadows in (project.shadows, other):
        project.use(shadows)
        triage("a")
        triage("b")
        project.join()
    project.tick()
    counts = project.stored(key)
    assert (4, 4) == (counts["sampled"], counts["challenger: ok"])
    pairs = project.store.shadow.pairs(key, parted=True)
    assert ["/human: true -> false"] * 4 == [pair.direction for pair in pairs]
    assert {project.a.id} == {pair.incumbent for pair in pairs}
    state = project.store.ledger.route_state("prod", "triage")
    assert (project.b.id,) == state.shadows
    assert ["shadow.started"] == project.kinds()


def test_stopping_reaches_every_process_too(project: Project) -> None:
    """The pin is a candidate again; nothing is sampled; what was found stays."""
    triage = _triage()
    key = _start(project)
    project.tick()
    triage("a")
    project.join()
    (run,) = stop_shadow(project.store, "triage", actor="bob", reason="seen enough")
    assert key == run.id
    project.tick()
    triage("b")
    project.join()
    project.tick()
    assert 1 == project.stored(key)["sampled"]
    state = project.store.ledger.route_state("prod", "triage")
    assert Stage.CANDIDATE is state.stages[project.b.id]
    assert ["shadow.started", "shadow.stopped"] == project.kinds()
    row = project.store.shadow.get(key)
    assert ("stopped", "seen enough", "bob") == (row.state, row.reason, row.actor)
    with pytest.raises(ConfigError, match="nothing runs in shadow"):
        stop_shadow(project.store, "triage", actor="bob")


def test_the_ledger_alone_is_enough(project: Project) -> None:
    """A pin that somebody moved to stage shadow runs with the defaults."""
    triage = _triage()
    for base, action in enumerate((Action.CANDIDATE, Action.SHADOW)):
        project.store.ledger.append(
            NewEntry(
                env="prod",
                route="triage",
                pin=project.b.id,
                action=action,
                base_rev=base,
                actor="ann",
            )
        )
    project.tick()
    (run,) = project.store.shadow.runs(running=True)
    assert ShadowOptions() == ShadowOptions.read(run.options)
    for number in range(250):
        with call_context(request_id=f"r{number}"):
            triage("a")
    project.join()
    project.tick()
    assert 0 < project.stored(run.id)["sampled"] < 40
    project.store.ledger.append(
        NewEntry(
            env="prod",
            route="triage",
            pin=project.b.id,
            action=Action.CANARY,
            weight=100,
            base_rev=2,
            actor="ann",
        )
    )
    project.tick(60)
    row = project.store.shadow.get(run.id)
    assert "the ledger moved the pin out of stage shadow" == row.reason


def test_a_budget_is_of_all_processes_together_and_ends_the_run(
    project: Project,
) -> None:
    """Not one call more than there were; the run says why it stopped."""
    triage, other = _triage(), project.process()
    key = _start(project, replace(ALL, max_calls=25))
    project.tick()
    for number in range(20):
        for shadows in (project.shadows, other):
            project.use(shadows)
            triage(f"t{number}")
        project.join()
    for shadows in (project.shadows, other):
        project.use(shadows)
        project.join()
    project.tick()
    project.tick()
    assert 25 == len(project.new.calls)
    row = project.store.shadow.get(key)
    assert ("stopped", "its budget of 25 calls is used up") == (row.state, row.reason)
    assert ["shadow.budget", "shadow.started", "shadow.stopped"] == sorted(
        project.kinds()
    )
    calls = len(project.new.calls)
    triage("after")
    assert calls == len(project.new.calls)


def test_it_stops_after_its_hours(project: Project) -> None:
    """However little traffic there was."""
    key = _start(project, replace(ALL, hours=24))
    _triage()
    project.tick()
    project.tick(23 * 3600)
    assert project.store.shadow.get(key).running
    project.tick(3601)
    row = project.store.shadow.get(key)
    assert "its 24 hours are over" == row.reason
    assert project.clock.time() == row.stopped_at


def test_it_stops_when_it_has_cost_enough(project: Project, tmp_path: Any) -> None:
    """Costs of all processes, by the table of prices; the last calls may exceed it."""
    prices = tmp_path / "prices.toml"
    prices.write_text('["new-1"]\ncall = 0.4\n["old-1"]\ncall = 0.0\n')
    triage = _triage()
    key = _start(project, replace(ALL, max_cost=1.0, prices=str(prices)))
    project.tick()
    for _ in range(4):
        triage("a")
        project.join()
        project.tick()
    row = project.store.shadow.get(key)
    assert "its budget of $1 is used up" == row.reason
    assert 1.2 == pytest.approx(row.cost)
    assert 3 == len(project.new.calls)


def test_a_decorators_shadow_stays_stopped_over_restarts(project: Project) -> None:
    """Its options name it, so that the next process does not begin it anew."""

    def made() -> Any:
        @shadow(project.b, share=1, double=0, max_calls=2)
        @contract({"type": "object"})
        @pinned("triage")
        def triage(ticket: str, *, model: Model = INJECTED) -> Any:
            return model.complete(ticket)

        return triage

    triage = made()
    triage("before the first exchange, when nobody knows whether it may")
    project.tick()
    for _ in range(4):
        triage("a")
        project.join()
    project.tick()
    (run,) = project.store.shadow.runs()
    assert ("decorator", "stopped") == (run.origin, run.state)
    assert run.subject.endswith("triage")
    project.use(project.process())
    triage = made()
    project.tick()
    triage("b")
    project.join()
    assert 2 == len(project.new.calls)
    assert 1 == len(project.store.shadow.runs())


def test_another_model_than_the_pin_ends_the_shadow(project: Project) -> None:
    """What is compared must be what the pin says, or it is evidence of nothing."""
    triage = _triage()
    project.replies = [WrongModel("other-2", {"human": False})]
    key = _start(project)
    project.tick()
    triage("a")
    project.join()
    triage("b")
    project.join()
    project.tick()
    project.tick()
    row = project.store.shadow.get(key)
    assert not row.running
    assert "other-2" in row.reason
    assert 1 == project.stored(key)["challenger: wrong_model"]


def test_minimums_and_breakers_and_patience(project: Project) -> None:
    """A dead challenger is asked five times; its breaker is nobody else's."""
    triage = _triage()
    project.replies = [HttpError(500)]
    key = _start(project)
    project.tick()
    for number in range(9):
        triage(f"t{number}")
        project.join()
    project.tick()
    counts = project.stored(key)
    assert 5 == len(project.new.calls) == counts["challenger: transport"]
    assert 4 == counts["skipped: the challenger's breaker is open"]
    assert ["closed"] == [str(b.status) for b in project.runtime.breakers.all()]
    assert [] == list(project.store.shadow.pairs(key, parted=True))


def test_a_challenger_with_too_much_to_do_is_left_alone(project: Project) -> None:
    """429 says when to come back; until then requests are skipped, not queued."""
    triage = _triage()
    project.replies = [
        HttpError(429, retry_after=20),
        {"human": False},
    ]
    key = _start(project)
    project.tick()
    triage("a")
    project.join()
    triage("b")
    project.join()
    project.tick(21)
    triage("c")
    project.join()
    project.tick()
    counts = project.stored(key)
    assert 1 == counts["challenger: throttled"] == counts["challenger: ok"]
    assert 1 == counts["skipped: the challenger asks for patience"]


def test_what_cannot_start_is_refused_with_the_repair(project: Project) -> None:
    """The active pin, an unknown one, one that runs already, a quarantined one."""

    def start(pin: str, route: str = "triage") -> None:
        start_shadow(project.store, route, pin, ALL, actor="ann", clock=project.clock)

    with pytest.raises(ConfigError, match="its own"):
        start(project.a.id)
    with pytest.raises(ConfigError, match="allows no pin 'p-none'"):
        start("p-none")
    with pytest.raises(LockError, match="unknown route"):
        start(project.b.id, "nowhere")
    start(project.b.id)
    with pytest.raises(ConfigError, match="already"):
        start(project.b.id)
    stop_shadow(project.store, "triage", actor="ann")
    state = project.store.ledger.route_state("prod", "triage")
    project.store.ledger.append(
        NewEntry(
            env="prod",
            route="triage",
            pin=project.b.id,
            action=Action.QUARANTINE,
            base_rev=state.rev,
            actor="ann",
        )
    )
    with pytest.raises(LedgerMoveError):
        start(project.b.id)
    assert [] == list(project.store.shadow.runs(running=True))


def test_calls_that_a_canary_answers_are_not_compared(project: Project) -> None:
    """Only the active version is the incumbent; the fallback of a canary is none."""
    third = project.old.pin("triage", params={"seed": 3})
    lock = load_lock().with_pin(third)
    Path("models.lock").write_text(to_text(lock))
    triage = _triage()
    key = _start(project, replace(ALL, cluster="unit"))
    project.tick()
    table = RoutingTable(
        env="prod",
        rev=9,
        routes={
            "triage": RouteState(
                env="prod",
                route="triage",
                rev=9,
                active=project.a.id,
                canary=(third.id, 5_000),
            )
        },
    )
    project.runtime.routing = SimpleNamespace(table=table)
    for number in range(40):
        with call_context(key=f"u{number}"):
            triage("a")
    project.join()
    project.tick()
    counts = project.stored(key)
    skipped = counts["skipped: another version than the active one answered"]
    assert 40 == skipped + counts["challenger: ok"]
    assert 8 < skipped < 32
    pairs = project.store.shadow.pairs(key)
    assert {project.a.id} == {pair.incumbent for pair in pairs}
    assert len(pairs) == len({json.loads(p.body)["cluster"] for p in pairs})


def test_minimums_are_of_all_processes_together(project: Project) -> None:
    """A stratum that another process has enough of is sampled at its share here."""
    options = replace(ALL, share=0.1, by=("intent",), minimum=15)
    triage, other = _triage(), project.process()
    key = _start(project, options)
    project.tick()
    for number in range(15):
        with call_context(intent="bug", request_id=f"a{number}"):
            triage("a")
    project.join()
    project.tick()
    assert 15 == project.stored(key)["sampled"]
    project.tick()
    project.use(other)
    for number in range(200):
        with call_context(intent="bug", request_id=f"b{number}"):
            triage("a")
    project.join()
    project.tick()
    assert 15 < project.stored(key)["sampled"] < 75
