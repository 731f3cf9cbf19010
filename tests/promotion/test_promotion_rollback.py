"""Back in one step: what is taken out, where it leads, how often by itself."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard import pins
from llmguard.pins import Lock
from llmguard.promotion import RollbackError, quarantine, resume, rollback
from llmguard.store import Action, LedgerConflictError, LedgerMoveError, Stage

Project = Any  # of conftest.py
QUIET = "[tool.llmguard.gates]\nsuite = false"


def back(project: Project, **fields: Any) -> Any:
    given = {"store": project.store, "route": "triage", "env": "prod", "actor": "ann"}
    return rollback(**(given | {"now": project.clock.time()} | fields))


def test_it_returns_to_the_last_good_one(project: Project) -> None:
    """NEW is quarantined, OLD serves, an event says so."""
    project.gates(QUIET)
    project.promote(project.new)
    moved = back(project, reason="legal threats missed")
    assert (project.new.id, project.old.id) == (moved.pin, moved.serves)
    assert Stage.QUARANTINED is project.state().stages[project.new.id]
    assert f"{project.old.id} serves again" in moved.notes[0]
    event = project.store.events.list(kind="rollback.")[0]
    assert ("rollback.manual", project.new.id) == (event.kind, event.pin)
    assert "legal threats missed" == event.detail["reason"]


def test_a_canary_is_taken_out_first(project: Project) -> None:
    """It is the newest change; the active version stays, and goes next."""
    project.gates(QUIET)
    project.allow(project.third)
    project.promote(project.new)
    project.promote(project.third, "canary")
    moved = back(project)
    assert (project.third.id, project.new.id) == (moved.pin, moved.serves)
    assert project.state().canary is None
    assert "run it again" in moved.notes[0]
    assert project.old.id == back(project).serves


def test_nowhere_to_go_says_what_else_helps(project: Project) -> None:
    """The first version has none before it; the breaker stops it."""
    with pytest.raises(RollbackError) as caught:
        back(project)
    assert f"llmguard breaker open {project.old.id}" in str(caught.value)
    assert f"llmguard promote {project.new.id}" in str(caught.value)
    with pytest.raises(RollbackError, match="known here: triage"):
        back(project, route="nothing")


def test_never_to_a_quarantined_pin(project: Project) -> None:
    """After two rollbacks there is nothing good left."""
    project.gates(QUIET)
    project.promote(project.new)
    back(project)
    with pytest.raises(RollbackError, match="no earlier good"):
        back(project)
    resume(
        store=project.store,
        route="triage",
        pin=project.new.id,
        env="prod",
        actor="ann",
        reason="repaired",
    )
    with pytest.raises(RollbackError, match="no earlier good"):
        back(project)


def test_what_the_lock_has_lost_is_passed_over(project: Project) -> None:
    """It could not serve, so the one before it comes back."""
    project.gates(QUIET)
    project.allow(project.third)
    project.promote(project.new)
    project.promote(project.third)
    lock = Lock().with_pin(project.old).with_pin(project.third)
    moved = back(project, lock=lock)
    assert project.old.id == moved.serves
    assert any("models.lock has lost it" in note for note in moved.notes)
    assert Stage.QUARANTINED is project.state().stages[project.new.id]


def test_it_needs_no_lock(project: Project) -> None:
    """On the machine of who is on call there may be none."""
    project.gates(QUIET)
    project.promote(project.new)
    (project.folder / "models.lock").unlink()
    pins.forget()
    moved = back(project)
    assert project.old.id == moved.serves
    assert any("could not be read" in note for note in moved.notes)


def test_a_pin_that_serves_nothing_is_left_alone(project: Project) -> None:
    """Whoever was faster did it already."""
    project.gates(QUIET)
    project.promote(project.new)
    back(project, pin=project.new.id)
    assert not back(project, pin=project.new.id).changed


def test_automatic_once_an_hour(project: Project) -> None:
    """A second one within the hour is for a person; a canary may always be stopped."""
    project.gates(QUIET)
    project.allow(project.third)
    project.promote(project.third)
    project.promote(project.new)
    assert back(project, actor="llmguard", pin=project.new.id).changed
    assert ["rollback.automatic"] == project.kinds()[-1:]
    project.allow(four := pins.Pin(route="triage", provider="openai", model="m-four"))
    project.promote(four.id)
    with pytest.raises(RollbackError, match="less than an hour ago"):
        back(project, actor="llmguard", pin=four.id)
    project.clock.advance(3601)
    assert back(project, actor="llmguard", pin=four.id).changed


def test_a_race_is_run_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who loses looks again at what serves, and does not roll back twice."""
    project.gates(QUIET)
    project.promote(project.new)
    ledger, real = project.store.ledger, project.store.ledger.append
    lost: list[int] = []

    def append(entry: Any) -> Any:
        if not lost:
            lost.append(1)
            real(entry)  # somebody else's, a moment before
            raise LedgerConflictError("late", rev=9, last=None)
        return real(entry)

    monkeypatch.setattr(ledger, "append", append)
    moved = back(project, pin=project.new.id)
    assert not moved.changed
    assert project.old.id == moved.serves
    actions = [entry.action for entry in ledger.entries()]
    assert 1 == actions.count(Action.ROLLBACK)


def test_quarantine(project: Project) -> None:
    """Of the one that serves it is a rollback; of another a mark; twice is refused."""
    project.gates(QUIET)
    given = {"store": project.store, "route": "triage", "env": "prod", "actor": "ann"}
    project.allow(project.third)
    moved = quarantine(pin=project.third.id, **given)
    assert project.old.id == moved.serves
    assert ["quarantine.manual"] == project.kinds()
    with pytest.raises(LedgerMoveError):
        quarantine(pin=project.third.id, **given)
    project.promote(project.new)
    assert project.old.id == quarantine(pin=project.new.id, **given).serves
