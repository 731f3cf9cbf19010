"""The Python of every page runs: all blocks of a page, one after the other."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli

DOCS = Path(__file__).parents[2] / "docs"
ELSEWHERE = {
    "detectors": "tests/detectors/test_detectors_page.py",
    "first-guarded-call": "tests/docs/test_transcripts.py",
    "forms": "tests/forms/test_form_docs.py",
    "objectives": "tests/docs/test_transcripts.py",
    "own-gguf": "tests/docs/test_transcripts.py",
    "promotion": "tests/promotion/test_promotion_plan.py",
    "run-a-shadow": "tests/docs/test_transcripts.py",
    "suite-runs": "tests/suite/run/test_run_docs.py",
    "suites": "tests/suite/test_define_docs.py",
    "testing": "tests/testing/test_testing_docs.py",
}
"""Pages whose snippets need more than a folder with a lock, and who runs them."""
PROJECT = """
from types import SimpleNamespace
from typing import Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED, Model, Prompt, contract, fallback_chain, on_pin, pinned, static
)
from llmguard_fallbacks import human, rules

PROMPT = Prompt("Triage this ticket: {ticket}")
text, user = "Where is my parcel?", SimpleNamespace(id="u-7")


class Triage(BaseModel):
    category: Literal["billing", "other"]
    needs_human: bool
    note: str = ""


def keyword_triage(ticket: str) -> Triage | None:
    return None


def my_function(alert: object) -> None:
    pass


@fallback_chain(static({"category": "other", "needs_human": True}), deadline=10.0)
@contract(Triage)
@pinned("triage")
def triage(ticket: str, *, model: Model = INJECTED) -> Triage:
    raise ConnectionError
"""
"""What a reader of the page has already."""
ROUTES = [
    ("triage-local", "llama.cpp", "embedded:triage-1.0"),
    ("triage", "openai", "gpt-5.2-2025-12-11"),
    ("triage", "openai", "gpt-4o-2024-11-20"),
]
CHALLENGER = "p-f62847f79d"
"""What pages call the second version of a route."""


def _snippets(page: Path) -> str:
    found = re.findall(
        r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    )
    return "\n\n".join(found)


PAGES = [page.stem for page in sorted(DOCS.glob("*.md")) if _snippets(page)]


@pytest.mark.parametrize("name", sorted(set(PAGES) - ELSEWHERE.keys()))
def test_snippets_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they stand, in a program of their own, in a project with a lock."""
    code = _snippets(DOCS / f"{name}.md")
    for package in ("transformers", "fastapi", "openai", "outlines"):
        if package in code and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    monkeypatch.chdir(tmp_path)
    config.reset()
    ids: list[str] = []
    for route, provider, model in ROUTES:
        add = ["pin", "add", route, "--provider", provider, "--model", model]
        done = CliRunner().invoke(cli, [*add, "--json"])
        assert 0 == done.exit_code, done.output
        ids.append(json.loads(done.stdout)["id"])
    code = code.replace(CHALLENGER, ids[-1])
    (tmp_path / "page.py").write_text(f"{PROJECT}\n\n{code}")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == ran.returncode, ran.stderr
    config.reset()


def test_who_runs_the_others_exists() -> None:
    """No page is left to a test that is gone."""
    assert set(PAGES) >= ELSEWHERE.keys()
    for test in ELSEWHERE.values():
        assert (DOCS.parent / test).exists(), test


SOURCES = (DOCS.parent, DOCS.parent / "fallbacks", DOCS.parent / "models")


def _with_sessions() -> list[str]:
    """Return the modules whose docstrings show a session."""
    return [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for root in SOURCES
        for path in sorted(root.glob("llmguard*/**/*.py"))
        if ">>> " in path.read_text() and "templates" not in path.parts
    ]


@pytest.mark.parametrize("name", _with_sessions())
def test_sessions_of_docstrings(name: str) -> None:
    """A docstring prints what it says."""
    done = doctest.testmod(importlib.import_module(name.removesuffix(".__init__")))
    assert done.attempted
    assert 0 == done.failed
