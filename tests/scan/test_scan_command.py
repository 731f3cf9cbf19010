"""The command: which files, which shape, which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llmguard.cli._main import cli

CALL = "client.chat.completions.create(model='gpt-4o')\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["scan", *arguments])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "llm.py").write_text(f"def ask():\n    {CALL}")
    for folder in (".venv/lib", "node_modules", "app/__pycache__", "own"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "other.py").write_text(CALL)
    (tmp_path / "own" / "pyvenv.cfg").write_text("")
    return tmp_path


def test_it_reads_the_project_and_not_what_it_installed(project: Path) -> None:
    """Place, what is wrong, the repair, a count; exit code 1."""
    got = run()
    assert 1 == got.exit_code
    first, repair, _, count = got.output.splitlines()
    assert first.startswith("app/llm.py:2:5: `client.chat.completions.create` with")
    assert repair.startswith("    `llmguard pin add ask --provider openai")
    assert "1 call in 1 file: 1 unguarded" == count
    assert project.exists()


def test_a_clean_project_is_exit_code_0(project: Path) -> None:
    """A CI step that passes says so."""
    got = run("--exclude", "app/*")
    assert (0, "No unguarded call of a model was found.\n") == (
        got.exit_code,
        got.output,
    )
    (project / "app" / "llm.py").write_text("x = 1\n")
    assert 0 == run().exit_code


def test_json_holds_everything(project: Path) -> None:
    """One document."""
    (project / "bad.py").write_text("openai = (\n")
    (project / "coded.py").write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9 openai\n")
    got = run("--json")
    document = json.loads(got.output)
    assert ["unguarded"] == [each["why"] for each in document["findings"]]
    assert "repair" in document["findings"][0]
    assert ["bad.py"] == [each["path"] for each in document["unread"]]
    assert 1 == got.exit_code


def test_annotations_survive_odd_names(project: Path) -> None:
    """Line breaks and per cent signs are escaped."""
    (project / "app" / "llm.py").unlink()
    (project / "app" / "50%.py").write_text(CALL)
    got = run("--format", "github")
    (line,) = got.output.splitlines()
    assert line.startswith("::error file=app/50%25.py,line=1,col=1,title=llmguard ")


def test_a_path_that_is_not_there_is_wrong_usage(project: Path) -> None:
    """Exit code 2, the path named."""
    got = run("nowhere")
    assert 2 == got.exit_code
    assert "nowhere" in got.output
    assert project.exists()


def test_this_project_scans_clean() -> None:
    """Our own examples guard what they call."""
    root = Path(__file__).parents[2]
    got = run(str(root / "examples"), str(root / "llmguard" / "guard"))
    assert 0 == got.exit_code, got.output
