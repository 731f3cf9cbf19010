"""Pages with commands are followed to the letter, in an empty folder."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transcript import Command, File, compare, follow, scenes, steps

from llmguard.testing import isolated

DOCS = Path(__file__).parents[2] / "docs"
SCENES = [
    (name, *scene)
    for name in ("on-call", "review-queue")
    for scene in scenes(DOCS / f"{name}.md")
]
INCIDENT = Path(__file__).parents[1] / "support" / "incident.py"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no setting of this run's environment to the commands."""
    for name in ("LLMGUARD_STORE", "LLMGUARD_LOCK", "LLMGUARD_ENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.gguf
def test_the_first_guarded_call(tmp_path: Path) -> None:
    """From a lock to the model's answer, and to the rules when it is gone."""
    pytest.importorskip("llguidance", reason="no local runtime is installed")
    done = follow(DOCS / "first-guarded-call.md", tmp_path)
    assert 9 == len(done)


def test_the_tutorial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of it does what it says."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "tutorial.md").read_text()
    session = "".join(
        re.findall(r"^```pycon\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    )
    names = {"__name__": "tutorial"}
    script = doctest.DocTestParser().get_doctest(session, names, "tutorial", None, 0)
    told: list[str] = []
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with isolated():
        doctest.DocTestRunner(optionflags=flags).run(script, out=told.append)
    assert "" == "".join(told)
    assert 20 < len(script.examples)


@pytest.fixture(scope="module")
def incidents() -> dict[tuple[str, str], Path]:
    """Folders in which incidents have happened, by page and fault."""
    return {}


@pytest.mark.parametrize(("page", "fault", "commands"), SCENES)
def test_incidents(
    page: str,
    fault: str,
    commands: list[Command],
    incidents: dict[tuple[str, str], Path],
    tmp_path: Path,
) -> None:
    """Each incident shows what the page says, command by command."""
    pytest.importorskip("openai")
    if (page, fault) not in incidents:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(
            [sys.executable, str(INCIDENT), fault],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            check=True,
            timeout=240,
        )
        incidents[page, fault] = tmp_path
    for command in commands:
        compare(command, incidents[page, fault])


def test_a_page_that_promises_something_else_fails(tmp_path: Path) -> None:
    """Files are written, comments dropped, other output is told."""
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- file: a.txt -->\n```text\nhello\n```\n"
        "```console\n$ cat a.txt  # a greeting\nhel...\n$ cat a.txt\nbye\n```\n"
        "<!-- not run: dangerous -->\n```console\n$ false\n```\n"
    )
    assert [
        File(name="a.txt", text="hello\n"),
        Command(line="cat a.txt", printed="hel...\n"),
        Command(line="cat a.txt", printed="bye\n"),
    ] == list(steps(page))
    assert shutil.which("sh") is not None
    with pytest.raises(AssertionError, match=r"(?s)bye.*printed:\nhello"):
        follow(page, tmp_path)


@pytest.mark.gguf
def test_a_gguf_of_your_own(tmp_path: Path) -> None:
    """Pinned, asked about a schema, timed."""
    pytest.importorskip("llguidance", reason="no local runtime is installed")
    assert 4 == len(follow(DOCS / "own-gguf.md", tmp_path))


@pytest.mark.parametrize(
    ("page", "commands"), [("run-a-shadow.md", 3), ("objectives.md", 2)]
)
def test_a_guide(page: str, commands: int, tmp_path: Path) -> None:
    """What it shows is what comes out."""
    assert commands == len(follow(DOCS / page, tmp_path))
