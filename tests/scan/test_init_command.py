"""`llmguard init`: shown first, nothing overwritten, everything works at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard.cli._init_plan import apply, plan
from llmguard.cli._main import cli
from llmguard.errors import ConfigError
from llmguard.pins import read_lock

FILES = {
    ".github/workflows/llmguard-gate.yml",
    ".gitignore",
    "ci/llmguard-gate.sh",
    "models.lock",
    "pyproject.toml",
    "suites/example-answers.jsonl",
    "suites/example.jsonl",
    "suites/example.py",
    "suites/example.toml",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, say: str = "") -> Result:
    return CliRunner().invoke(cli, ["init", *arguments], input=say)


def files(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


def test_it_asks_before_it_writes(project: Path) -> None:
    """No is an answer, and so is looking only."""
    got = run(say="n\n")
    assert (1, set()) == (got.exit_code, files(project))
    assert all(name in got.output for name in FILES)
    shown = run("--dry-run")
    assert (0, set()) == (shown.exit_code, files(project))
    assert '      | suites = ["suites/*.toml"]' in shown.output
    nobody = run()
    assert (1, set()) == (nobody.exit_code, files(project))
    assert "There is nobody to ask; `--yes` writes at once." in nobody.output
    document = json.loads(run("--json").output)
    assert FILES == {step["path"] for step in document["steps"]}
    assert set() == files(project)


def test_what_it_writes_works(project: Path) -> None:
    """The lock is good, and the example suite says PROMOTE, without a key."""
    got = run(say="\n")
    assert 0 == got.exit_code, got.output
    assert FILES == files(project)
    assert os.access(project / "ci" / "llmguard-gate.sh", os.X_OK)
    pin = read_lock(project / "models.lock").resolve("example")
    assert pin.id in (project / "suites" / "example.toml").read_text()
    for arguments in (
        ["pin", "check"],
        ["suite", "run", "suites/example.toml", "--candidate", "example"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "llmguard", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.startswith("PROMOTE")


def test_a_second_time_there_is_nothing_to_do(project: Path) -> None:
    """Every file stays as it is."""
    run("--yes")
    before = {name: (project / name).read_bytes() for name in files(project)}
    got = run()
    assert "Nothing to do." in got.output
    assert before == {name: (project / name).read_bytes() for name in files(project)}


def test_a_projects_own_files_are_kept(project: Path) -> None:
    """Settings and ignored names are appended; comments and order stay."""
    own = '[project]\nname = "shop"  # ours\n\n[tool.ruff]\nline-length = 99'
    (project / "pyproject.toml").write_text(own)
    (project / ".gitignore").write_text("*.pyc\n.llmguard")
    (project / "models.lock").write_text("mine")
    got = run("--yes", "--ci", "none", "--no-example")
    assert 0 == got.exit_code, got.output
    text = (project / "pyproject.toml").read_text()
    assert text.startswith(own)
    assert ["suites/*.toml"] == tomllib.loads(text)["tool"]["llmguard"]["suites"]
    ignored = (project / ".gitignore").read_text().splitlines()
    assert ["*.pyc", ".llmguard", "llmguard-gate/"] == ignored
    assert "mine" == (project / "models.lock").read_text()
    assert {"pyproject.toml", ".gitignore", "models.lock"} == files(project)


def test_settings_that_lack_suites_are_named(project: Path) -> None:
    """A table is not edited from outside: the line to add is said."""
    (project / "pyproject.toml").write_text("[tool.llmguard]\nstrict = true\n")
    got = run("--dry-run")
    assert 'add `suites = ["suites/*.toml"]` to its `[tool.llmguard]`' in got.output


def test_a_broken_pyproject_is_said_before_anything_is_written(project: Path) -> None:
    """The file and the place."""
    (project / "pyproject.toml").write_text("[tool\n")
    got = run("--yes")
    assert 0 != got.exit_code
    assert isinstance(got.exception, ConfigError)
    assert "line 1" in str(got.exception)
    assert {"pyproject.toml"} == files(project)


def test_a_file_that_appears_meanwhile_is_left_alone(project: Path) -> None:
    """Between showing and writing somebody else may write."""
    steps = plan(project, example=False)
    (project / "ci").mkdir()
    (project / "ci" / "llmguard-gate.sh").write_text("theirs")
    with pytest.raises(ConfigError, match="appeared while"):
        apply(project, steps)
    assert "theirs" == (project / "ci" / "llmguard-gate.sh").read_text()


def test_the_examples_are_what_it_writes() -> None:
    """One source: the example folder links to the templates."""
    root = Path(__file__).parents[2]
    for name in ("generic.sh", "github-actions.yml"):
        link = root / "examples" / "ci_gate" / name
        assert link.is_symlink()
        assert link.read_text()
