"""A git repository with a lock, a suite and recorded versions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from shop_suite import MODULE, SUITE

from llmguard import config
from llmguard.pins import Pin, edit_lock, prepare

IDS = [f"c{n:02}" for n in range(20)]


def git(folder: Path, *words: str) -> str:
    """Run git, whoever this machine's git says that one is."""
    who = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    done = subprocess.run(
        ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def commit(repository: Path) -> Callable[[], None]:
    """Commit everything."""

    def make() -> None:
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "Change")

    return make


@pytest.fixture
def repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """Give a repository on the branch `change`, with a suite on the route `triage`."""
    name = f"gate_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "shop.toml").write_text(SUITE.replace("NAME", name))
    lines = [json.dumps({"id": one, "inputs": {"text": one}}) for one in IDS]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.llmguard]\nsuites = ["shop.toml"]\n'
    )
    (tmp_path / ".gitignore").write_text(".llmguard/\n__pycache__/\nllmguard-gate/\n")
    git(tmp_path, "init", "-q", "-b", "main")
    monkeypatch.chdir(tmp_path)
    config.reset()
    allow(tmp_path, "old", {"kind": "refund"})
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "Begin")
    git(tmp_path, "switch", "-q", "-c", "change")
    yield tmp_path
    config.reset()


def allow(
    folder: Path,
    name: str,
    answer: object,
    *,
    activate: bool = False,
    route: str = "triage",
    **changes: str,
) -> Pin:
    """Record a version, and allow it in the lock."""
    lines = [
        json.dumps({"prompt_id": one, "sample": n, "output": json.dumps(answer)})
        for one in IDS
        for n in range(5)
    ]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    pin = prepare(
        Pin(
            route=route,
            provider="replay",
            model=f"{name}.jsonl",
            options={"exhausted": "error"},
            expect_echo=("*",),
            base=str(folder),
            **changes,
        )
    )
    lock = folder / "models.lock"
    edit_lock(lock, lambda old: old.with_pin(pin, activate=activate))
    return pin


@pytest.fixture
def add(repository: Path) -> Callable[..., Pin]:
    """Record a version, and allow it in the repository's lock."""

    def make(name: str, answer: object, **how: object) -> Pin:
        return allow(repository, name, answer, **how)  # type: ignore[arg-type]  # as is

    return make
