"""Plans: the lock against the ledger, in every way that they differ."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmguard import pins
from llmguard.errors import ConfigError
from llmguard.pins import Lock, edit_lock
from llmguard.promotion import (
    GatesNotPassedError,
    GateState,
    PromotionError,
    failed,
    notes,
    passed,
    plan,
    which,
)
from llmguard.promotion._asking import default_actor
from llmguard.promotion._notes import render

Project = Any  # of conftest.py
QUIET = "[tool.llmguard.gates]\nsuite = false\nhorizon = false\n"
DOCS = Path(__file__).parents[2] / "docs/promotion.md"


def of(project: Project, **fields: Any) -> Any:
    """Plan the one route."""
    given = {"store": project.store, "env": "prod", "now": project.clock.time()}
    return plan(**(given | fields)).routes[0]


def changes(route: Any) -> dict[str, str]:
    return {one.pin: one.change for one in route.pins}


def test_a_new_pin(project: Project) -> None:
    """Both targets are asked about, and the command is there."""
    route = of(project)
    assert {project.old.id: "", project.new.id: "new"} == changes(route)
    (new,) = [one for one in route.pins if one.change == "new"]
    assert [("canary", 500), ("active", None)] == [(m.to, m.weight) for m in new.moves]
    assert not new.moves[0].ready
    assert f"llmguard promote {new.pin} --to canary --weight 5%" == new.next
    assert "the first promotion records it" in route.notes[0]
    project.evidence(project.new)
    (new,) = [one for one in of(project).pins if one.change == "new"]
    assert new.moves[0].ready


def test_nothing_is_blocked_when_all_gates_pass(project: Project) -> None:
    """And the plan says so as a whole."""
    given = {"store": project.store, "env": "prod", "now": project.clock.time()}
    assert plan(**given).blocked
    project.evidence(project.new)
    assert not plan(**given).blocked


def test_what_the_lock_names_active_and_the_ledger_does_not(project: Project) -> None:
    """After the first entry the lock's word is a wish."""
    project.gates(QUIET)
    project.promote(project.old)
    project.allow(project.third, activate=True)
    route = of(project)
    assert "new" == changes(route)[project.third.id]
    assert any("the lock names" in note for note in route.notes)
    project.promote(project.third, "canary")
    route = of(project)
    assert "wanted" == changes(route)[project.third.id]
    (third,) = [one for one in route.pins if one.pin == project.third.id]
    assert ["active"] == [move.to for move in third.moves]
    assert (project.third.id, 500) == route.canary


def test_what_the_lock_has_lost(project: Project) -> None:
    """A pin that serves and is gone; then the whole route."""
    project.gates(QUIET)
    project.promote(project.new)
    path = project.folder / "models.lock"
    edit_lock(path, lambda lock: lock.without(project.new.id))
    route = of(project)
    assert "gone" == changes(route)[project.new.id]
    assert any("put it back, or promote another" in note for note in route.notes)
    edit_lock(path, lambda lock: lock.without(project.old.id))
    route = of(project)
    assert any("the lock has lost the route" in note for note in route.notes)
    (gone,) = [one for one in route.pins if one.pin == project.new.id]
    assert ("active", "") == (gone.stage, gone.next)


def test_another_environment_is_in_the_command(project: Project) -> None:
    """Commands are complete."""
    (new,) = [one for one in of(project, env="dev").pins if one.change == "new"]
    assert new.next.endswith(" --env dev")
    assert new.moves[0].gates[1].repair.startswith("llmguard suite run")


def test_unknown_routes(project: Project) -> None:
    """The known ones are listed."""
    with pytest.raises(PromotionError, match=r"\(known: triage\)"):
        plan(store=project.store, route="nothing")
    empty = plan(store=project.store, lock=Lock())
    assert () == empty.routes


def test_notes_say_what_the_promotion_rests_on(project: Project) -> None:
    """Evidence, a canary, an end; and no lock is no obstacle."""
    digest = project.evidence(project.new)
    project.promote(project.new)
    project.gates(QUIET)
    project.allow(project.third)
    project.promote(project.third, "canary")
    given = {"store": project.store, "env": "prod"}
    found = notes(**given)
    text = render(found, "md")
    assert f"- evidence `{digest}`" in text
    assert f"- canary: {project.third.id} at 5%" in text
    assert f"- rollback leads to `{project.old.id}`" in text
    long = "r" * 80
    (one,) = found.routes
    from dataclasses import replace

    other = replace(found, routes=(replace(one, route=long, model="a b'c"),))
    for line in render(other, "k8s").splitlines()[6:]:
        assert len(line.strip().partition(":")[0].rpartition("/")[2]) <= 63
    with pytest.raises(ConfigError, match="use one of md, json"):
        render(found, "xml")
    (project.folder / "models.lock").unlink()
    pins.forget()
    assert "" == notes(**given).routes[0].model


def test_which_looks_as_far_back_as_it_must(project: Project) -> None:
    """Many changes of a share do not hide who made the version active."""
    project.gates(QUIET)
    project.promote(project.old)
    for share in range(1, 30):
        project.promote(project.new, "canary", weight=share)
    found = which(store=project.store, route="triage", env="prod")
    assert ("adopted from models.lock", 1) == (found.reason, found.rev)
    assert (project.new.id, 29) == found.canary
    assert "0.29% of the calls" in found.sentence
    (project.folder / "models.lock").unlink()
    pins.forget()
    found = which(store=project.store, route="triage", env="prod")
    assert "gone from the lock" in found.sentence
    assert "nothing was declared" == which(store=project.store, route="x").sentence


def test_who_asks(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable, git's address, the login."""
    monkeypatch.setenv("LLMGUARD_ACTOR", "ann")
    assert "ann" == default_actor()
    monkeypatch.delenv("LLMGUARD_ACTOR")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(project.folder / "gitconfig"))
    (project.folder / "gitconfig").write_text("[user]\nemail = git@example.com\n")
    assert "git@example.com" == default_actor()
    monkeypatch.setenv("PATH", str(project.folder))
    monkeypatch.setenv("USER", "login")
    monkeypatch.setenv("LOGNAME", "login")
    assert "login" == default_actor()


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="needs to change its user"
)
def test_a_user_without_a_name_can_act(project: Project) -> None:
    """Containers run under made-up numbers; a rollback must not end there."""
    code = (
        "import os; from llmguard.promotion._asking import default_actor as who;"
        "os.environ.clear(); os.environ['PATH'] = '/nowhere';"
        "os.setuid(54321); print(who())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=project.folder,
    )
    assert "uid-54321" == done.stdout.strip()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"to": "retired"}, "`to` is 'retired'"),
        ({"to": "canary", "weight": 10_001}, "basis points"),
        ({"to": "active", "weight": 5}, "only a canary"),
    ],
)
def test_targets_that_cannot_be(
    project: Project, fields: dict[str, Any], words: str
) -> None:
    """Refused before anything is asked."""
    with pytest.raises(ConfigError, match=words):
        project.promote(project.new, **fields)


def test_the_documented_gate(project: Project) -> None:
    """The page's snippet runs as a gate."""
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found
    file = f"{project.module}_doc.py"
    (project.folder / file).write_text(found[1])
    project.gates(f'{QUIET}[tool.llmguard.gates.active]\ncustom = ["{file}:budget"]')
    assert "desk pays" == project.promote(project.new).gates[-1].reason


def test_the_documented_settings(project: Project) -> None:
    """The page's table is one that can be read."""
    from llmguard.promotion import rules_for

    found = re.search(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found
    project.gates(found[1])
    rules = rules_for("prod", "triage", "active")
    assert rules.approvals is not None
    assert (2, 30.0, True) == (rules.approvals.need, rules.horizon, rules.fallback)
    assert rules_for("dev", "triage", "canary").suite is None


def test_verdicts_are_plain_values() -> None:
    """What gates return compares and blocks as it says."""
    assert passed("a", "b") == passed("a", "b")
    assert not passed("a", "b").blocks
    assert failed("a", "b", "c").blocks
    assert GateState.FAIL is failed("a", "b", "c").state
    assert issubclass(GatesNotPassedError, PromotionError)
