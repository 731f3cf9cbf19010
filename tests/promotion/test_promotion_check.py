"""`llmguard check`: what it finds, and how it exits."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli
from llmguard.promotion import quarantine

Project = Any  # of conftest.py
Run = Callable[..., Result]
QUIET = "[tool.llmguard.gates]\nsuite = false\n"


@pytest.fixture
def run(project: Project) -> Run:
    def call(*words: str, code: int = 0) -> Result:
        words = ("check", *words, "--store", str(project.folder / "s.db"))
        result = CliRunner().invoke(cli, words)
        assert code == result.exit_code, result.output
        return result

    return call


def test_missing_evidence(project: Project, run: Run) -> None:
    """A pin that the ledger does not know needs its suites' word; exit code 3."""
    out = run(code=3).output
    assert f"evidence: {project.new.id} of route 'triage': suite `shop` has" in out
    assert f"-> llmguard suite run shop --candidate {project.new.id}" in out
    run("--no-evidence")
    project.gates(QUIET)
    run()
    project.gates("")
    project.evidence(project.new, at=__import__("time").time())
    assert "2 pins" in run().output


def test_without_a_store(project: Project) -> None:
    """A job that has none is told so; what is unknown blocks."""
    result = CliRunner().invoke(cli, ["check", "--json"])
    assert 3 == result.exit_code
    found = json.loads(result.stdout)["findings"]
    assert "there is no store here" in found[0]["message"]


def test_changed_since_a_base(project: Project, run: Run) -> None:
    """With `--base` the pins that changed need evidence, whatever the ledger says."""

    def git(*words: str) -> None:
        who = ("-c", "user.name=T", "-c", "user.email=t@example.com")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "models.lock")
    git("commit", "-q", "-m", "one")
    run("--base", "main")
    project.allow(project.third, activate=True)
    out = run("--base", "main", code=3).output
    assert project.third.id in out
    assert project.new.id not in out


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            lambda text: f"<<<<<<< HEAD\n{text}=======\n>>>>>>> b\n",
            "a merge left its conflict",
        ),
        (
            lambda text: (
                text + text[text.index("[routes.triage]") : text.index("[pins.")]
            ),
            "`routes.triage` is there twice",
        ),
        (lambda text: text.replace("desk", "me"), "does not match its hash"),
    ],
)
def test_a_lock_with_two_heads_or_an_edit(
    project: Project, run: Run, edit: Callable[[str], str], words: str
) -> None:
    """Exit code 4, and what to do."""
    path = project.folder / "models.lock"
    path.write_text(edit(path.read_text()))
    out = run(code=4).output
    assert words in out
    assert "llmguard pin refresh" in out
    assert words.replace('"', '\\"') in run("--json", code=4).stdout


def test_a_model_that_ends(project: Project, run: Run) -> None:
    """Within 90 days, by the lock's own date."""
    from datetime import UTC, datetime, timedelta

    end = (datetime.now(UTC) + timedelta(days=80)).date().isoformat()
    project.gates(QUIET)
    project.allow(replace(project.new, lifecycle={"shutdown": end}))
    assert f"shuts down on {end}" in run(code=1).output
    run("--horizon", "30d")


def test_the_lock_against_the_ledger(project: Project, run: Run) -> None:
    """What serves must stay allowed; what is quarantined must not be named active."""
    project.gates(QUIET)
    project.promote(project.new)
    path = project.folder / "models.lock"
    from llmguard.pins import edit_lock

    edit_lock(path, lambda lock: lock.without(project.new.id))
    out = run(code=1).output
    assert f"serving: {project.new.id} serves route 'triage' in 'prod'" in out
    project.allow(project.new)
    quarantine(
        store=project.store, route="triage", pin=project.new.id, env="prod", actor="a"
    )
    project.allow(project.new, activate=True)
    out = run(code=1).output
    assert f"quarantined: the lock names {project.new.id} active" in out


@pytest.mark.usefixtures("ssh_keygen")
def test_two_approved_moves(project: Project, run: Run) -> None:
    """Only one can happen at a revision."""
    project.gates(QUIET)
    project.allow(project.third)
    project.person("bob")
    project.approve("bob", project.new)
    run()
    project.approve("bob", project.third)
    out = run(code=1).output
    assert "two-heads: two moves of route 'triage' in 'prod' are approved" in out
