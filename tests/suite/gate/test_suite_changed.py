"""Which suites a change of the lock calls for, told by a real repository."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli
from llmguard.pins import Pin, edit_lock, load_lock

GOOD, BAD = {"kind": "refund"}, {"odd": 1}


def changed(*words: str, base: str = "main") -> Result:
    """Run `llmguard suite changed` here."""
    return CliRunner().invoke(cli, ["suite", "changed", "--base", base, *words])


@pytest.mark.usefixtures("repository")
def test_an_unchanged_lock_calls_for_nothing() -> None:
    """Nothing on stdout: the gate ends there."""
    done = changed()
    assert (0, "", "") == (done.exit_code, done.stdout, done.stderr)


def test_a_pin_that_is_new_or_made_active_is_a_candidate(
    repository: Path, add: Callable[..., Pin], commit: Callable[[], None]
) -> None:
    """Committed or not; why stands in the document."""
    allowed = add("next", GOOD)
    assert f"shop {allowed.id}\n" == changed().stdout
    old = load_lock().resolve("triage")
    active = add("now", BAD, activate=True)
    commit()
    found = json.loads(changed("--json").stdout)
    said = {one["candidate"]: one["why"] for one in found["runs"]}
    assert {allowed.id: "allowed", active.id: "new and active"} == said
    assert {old.id} == {one["incumbent"] for one in found["runs"]}
    edit_lock(repository / "models.lock", lambda lock: lock.activated(allowed.id))
    subprocess.run(["git", "branch", "-q", "later"], check=True)
    (one,) = json.loads(changed("--json", base="later").stdout)["runs"]
    assert ("made active", allowed.id, active.id) == (
        one["why"],
        one["candidate"],
        one["incumbent"],
    )


def test_a_new_owner_is_no_change(repository: Path, add: Callable[..., Pin]) -> None:
    """What does not change the model voids no evidence and costs no call."""
    before = (repository / "models.lock").read_text()
    add("old", GOOD, owner="somebody")
    assert before != (repository / "models.lock").read_text()
    assert "" == changed().stdout


def test_what_the_base_did_meanwhile_is_no_change(
    repository: Path, add: Callable[..., Pin], commit: Callable[[], None]
) -> None:
    """Compared is the commit at which the branch left, not the tip of the base."""
    subprocess.run(["git", "switch", "-q", "main"], check=True)
    add("theirs", GOOD, activate=True)
    commit()
    subprocess.run(["git", "switch", "-q", "change"], check=True)
    assert "" == changed().stdout


def test_the_incumbent_is_named_where_a_suite_compares(
    repository: Path, add: Callable[..., Pin]
) -> None:
    """And its loss is refused: a version is not compared with itself."""
    suite = repository / "shop.toml"
    suite.write_text(
        suite.read_text().replace("tolerate = 0.02", "relative = true\ntolerate = 0.02")
    )
    old = load_lock().resolve("triage")
    new = add("next", GOOD, activate=True)
    assert f"shop {new.id} {old.id}\n" == changed().stdout
    edit_lock(repository / "models.lock", lambda lock: lock.without(old.id))
    done = changed()
    assert 3 == done.exit_code
    assert "the lock has lost it: leave it among the `allowed`" in done.stderr


@pytest.mark.usefixtures("repository")
def test_a_route_without_a_suite_is_named(add: Callable[..., Pin]) -> None:
    """With `--strict` it stops the gate."""
    pin = add("other", GOOD, route="summarise")
    done = changed()
    assert (0, "") == (done.exit_code, done.stdout)
    assert f"route `summarise`: no declared suite covers {pin.id}" in done.stderr
    assert 3 == changed("--strict").exit_code


def test_a_lock_that_is_new_is_all_candidates(
    repository: Path, commit: Callable[[], None]
) -> None:
    """The base had none: every pin is a candidate, against nobody."""
    lock = repository / "models.lock"
    text = lock.read_text()
    lock.unlink()
    commit()
    subprocess.run(["git", "branch", "-q", "bare"], check=True)
    lock.write_text(text)
    pin = load_lock().resolve("triage")
    assert f"shop {pin.id}\n" == changed(base="bare").stdout


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("base", ["absent", "--output=x"])
def test_a_base_that_is_not_there_is_an_error(base: str) -> None:
    """A shallow clone is the usual cause, and the message says so."""
    done = CliRunner().invoke(cli, ["suite", "changed", f"--base={base}"])
    assert 3 == done.exit_code
    assert "fetch-depth: 0" in done.stderr
    assert not Path("x").exists()
