"""The command: what it prints, writes and exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard.cli import cli


def suite(*words: str) -> Result:
    """Run `llmguard suite ...` here."""
    return CliRunner().invoke(cli, ["suite", *words])


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("candidate", "code", "verdict"),
    [
        ("replay:old.jsonl", 0, "PROMOTE"),
        ("replay:bad.jsonl", 1, "BLOCK"),
        ("replay:short.jsonl", 2, "UNDECIDED"),
        ("replay:absent.jsonl", 3, ""),
        ("openai", 3, ""),
    ],
)
def test_the_exit_code_is_the_verdict(candidate: str, code: int, verdict: str) -> None:
    """CI reads the code alone; what is wrong with the call is no verdict."""
    done = suite("run", "shop", "--candidate", candidate, "--no-evidence", "--json")
    assert code == done.exit_code, done.output
    if verdict:
        assert verdict == json.loads(done.stdout)["verdict"]


@pytest.mark.usefixtures("project")
def test_what_it_takes_is_said_before_and_shown_while_it_runs() -> None:
    """Expected calls, then rounds and counts on stderr; the report on stdout."""
    done = suite("run", "shop", "--candidate", "replay:old.jsonl", "--no-evidence")
    assert "shop: 20 cases, 1 assertion, at most 1000 calls" in done.stderr
    assert "calls if it is clean" in done.stderr
    assert "schema accepted after 60" in done.stderr
    assert done.stdout.startswith("PROMOTE  every one of 1 assertion was accepted")
    assert "expected" not in done.stdout


@pytest.mark.usefixtures("project")
def test_a_dry_run_calls_nobody() -> None:
    """Nothing is called and nothing is written."""
    done = suite("run", "shop", "--dry-run")
    assert 0 == done.exit_code
    assert not Path(".llmguard").exists()


def test_the_journal_is_kept_and_graded(project: Path) -> None:
    """Each run leaves a journal, which `grade` judges without a call."""
    done = suite("run", "shop", "--candidate", "replay:bad.jsonl", "--no-evidence")
    (journal,) = (project / ".llmguard" / "suites").glob("shop-*.jsonl")
    assert str(journal) in done.stdout
    (project / "bad.jsonl").unlink()
    again = suite("grade", str(journal), "--json")
    assert 1 == again.exit_code, again.output
    assert "BLOCK" == json.loads(again.stdout)["verdict"]


@pytest.mark.usefixtures("project")
def test_the_verdict_is_kept_as_evidence() -> None:
    """The report names a record in the store, and `show` prints it."""
    done = suite("run", "shop", "--candidate", "replay:old.jsonl", "--json")
    report = json.loads(done.stdout)
    shown = suite("show", report["evidence"])
    assert 0 == shown.exit_code, shown.output
    kept = json.loads(shown.output)
    assert ("PROMOTE", report["suite_digest"]) == (
        kept["verdict"],
        kept["suite_digest"],
    )
    assert kept["order_digest"].startswith("sha256:")


@pytest.mark.usefixtures("project")
def test_suites_are_listed_and_shown() -> None:
    """What is declared, with its claims and rates."""
    listed = suite("list")
    assert "desk" in listed.output
    shown = suite("show", "shop")
    assert "schema" in shown.output
    assert "20 %" in shown.output
    assert 20 == json.loads(suite("show", "shop", "--json").output)["cases"]


@pytest.mark.usefixtures("project")
def test_power_says_what_it_takes_beforehand() -> None:
    """Minima and simulated runs; nobody is called."""
    found = json.loads(suite("power", "shop", "--runs", "3", "--json").output)
    assert 1000 == found["most_calls"]
    assert 60 == found["rules"][0]["accept_calls"]
    assert "if the version is" in suite("power", "shop", "--runs", "3").output


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    "words",
    [
        ("run",),
        ("run", "shop"),
        ("run", "shop", "--candidate"),
        ("run", "shop", "--nonsense"),
        ("run", "absent", "--candidate", "replay:old.jsonl"),
        ("grade", "absent.jsonl"),
        ("run", "shop", "--candidate", "replay:old.jsonl", "--max-cost", "-1"),
    ],
)
def test_wrong_usage_is_never_a_verdict(words: tuple[str, ...]) -> None:
    """1 and 2 are said of models only."""
    done = suite(*words)
    assert 3 == done.exit_code, done.output
    assert "Error: " in done.stderr


def test_a_spent_budget_is_gone_on_with(project: Path) -> None:
    """The limit ends the run undecided; more budget goes on from there."""
    first = suite(
        *("run", "shop", "--candidate", "replay:old.jsonl", "--no-evidence"),
        *("--max-calls", "30", "--journal", "run.jsonl"),
    )
    assert 2 == first.exit_code, first.output
    assert "the budget was spent before `schema` could be decided" in first.stdout
    assert "--resume run.jsonl" in first.stderr
    again = suite("run", "--resume", "run.jsonl", "--no-evidence", "--json")
    assert 0 == again.exit_code, again.output
    assert 60 == json.loads(again.stdout)["calls"]
