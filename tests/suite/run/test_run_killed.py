"""A run that is killed, or interrupted, is gone on with by another process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmguard.suite._journal import Journal, read_journal
from llmguard.testing import FaultServer, ServedRequest

MODULE = """
from llmguard import INJECTED, Model, Pin, contract, pinned

PIN = Pin(route="triage", provider="openai", model="new-1", endpoint={url!r},
          accept_opaque="a server of the test")
SCHEMA = {{"type": "object", "required": ["kind"]}}


@contract(SCHEMA)
@pinned(PIN)
async def triage(text: str, *, model: Model = INJECTED):
    return await model.acomplete(text)
"""
SUITE = """
function = "killed_shop.py:triage"
cases = "cases.jsonl"

[[assert]]
expect = "schema"
tolerate = 0.02
unacceptable = 0.2
"""
PIN = "openai:new-1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a project with one suite of twenty cases."""
    (tmp_path / "suite.toml").write_text(SUITE)
    lines = [f'{{"id": "c{n}", "inputs": {{"text": "text {n}"}}}}' for n in range(20)]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "pyproject.toml").write_text("[tool.llmguard]\n")
    return tmp_path


def started(folder: Path, server: FaultServer, *options: str) -> subprocess.Popen[str]:
    """Start the command on a fresh journal, or with other options."""
    (folder / "killed_shop.py").write_text(MODULE.format(url=f"{server.base_url}"))
    words = [sys.executable, "-m", "llmguard", "suite", "run", "suite.toml"]
    return subprocess.Popen(
        [*words, "--concurrency", "4", *options],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


class Shop:
    """Answers by the prompt alone, and sends a signal at the nth request."""

    def __init__(self) -> None:
        self.asked = 0
        self.at = 0
        self.signal: Callable[[], None] | None = None

    def __call__(self, request: ServedRequest) -> object:
        self.asked += 1
        if self.asked == self.at and self.signal is not None:
            self.signal()
        body: Any = request.json
        prompt = body["messages"][-1]["content"]
        return {"other": 1} if prompt in {"text 3", "text 8"} else {"kind": "ok"}


def ended(journal: Journal) -> list[object]:
    """Return what must be the same, however often a run was interrupted."""
    said = journal.ended
    assert said is not None
    calls = [
        (one.sample.arm, one.sample.case, one.sample.round, one.sample.order)
        for one in journal.entries
    ]
    return [said["verdict"], said["stopped"], calls]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, 2, id="interrupted"),
    ],
)
def test_a_run_goes_on_after_a_signal(
    folder: Path, number: signal.Signals, code: int
) -> None:
    """No journalled call is made again, and the verdict is that of a run left alone."""
    shop = Shop()
    seed = ("--candidate", PIN, "--seed", "7", "--full", "--json")
    with FaultServer(answer=shop, keep_alive=True) as server:
        alone = started(folder, server, *seed, "--journal", "alone.jsonl")
        out, err = alone.communicate(timeout=60)
        assert 1 == alone.returncode, err
        shop.at = shop.asked + 33
        broken = started(folder, server, *seed, "--journal", "broken.jsonl")
        shop.signal = lambda: os.kill(broken.pid, number)
        _, said = broken.communicate(timeout=60)
        assert code == broken.returncode, said
        kept = read_journal(folder / "broken.jsonl").entries
        shop.signal, before = None, shop.asked
        again = started(folder, server, "--resume", "broken.jsonl", "--json")
        out, err = again.communicate(timeout=60)
        assert 1 == again.returncode, err
    whole = read_journal(folder / "broken.jsonl")
    assert 20 < len(kept) < len(whole.entries)
    assert len(whole.entries) - len(kept) == shop.asked - before
    assert ended(read_journal(folder / "alone.jsonl")) == ended(whole)
    assert '"BLOCK"' in out
    if number is signal.SIGINT:
        assert "go on with `llmguard suite run suite.toml --resume" in said
