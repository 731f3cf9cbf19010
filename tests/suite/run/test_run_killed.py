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

from llmguard.suite import Report, Verdict, grade, run
from llmguard.suite._journal import read_journal
from llmguard.testing import FaultServer, ServedRequest, isolated

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
function = "{module}.py:triage"
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
    lines = [f'{{"id": "c{n}", "inputs": {{"text": "text {n}"}}}}' for n in range(20)]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "pyproject.toml").write_text("[tool.llmguard]\n")
    return tmp_path


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in a process of its own."""
    words = [sys.executable, "-m", "llmguard", "suite", "run", "suite.toml", "--json"]
    return subprocess.Popen(
        [*words, *options],
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
        if body is None:  # cut off by the kill
            return ""
        prompt = body["messages"][-1]["content"]
        return {"other": 1} if prompt in {"text 3", "text 8"} else {"kind": "ok"}


def decided(report: Report) -> list[object]:
    """Return what must be the same, however often a run was interrupted."""
    return [
        (report.verdict, report.reason, report.rounds, report.seed),
        [(one.n, one.failures, one.status, one.path) for one in report.assertions],
    ]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGINT, 2, id="interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_run_goes_on_after_a_signal(
    folder: Path, number: signal.Signals, code: int
) -> None:
    """No journalled call is made again, and the verdict is that of a run left alone."""
    shop, module = Shop(), f"killed_shop_{number}"
    (folder / "suite.toml").write_text(SUITE.format(module=module))
    with FaultServer(answer=shop, keep_alive=True) as server, isolated():
        (folder / f"{module}.py").write_text(MODULE.format(url=server.base_url))
        alone = run(
            *(folder / "suite.toml", PIN),
            seed=7,
            full=True,
            journal=folder / "alone.jsonl",
        )
        assert Verdict.BLOCK is alone.verdict
        shop.at = shop.asked + 33
        broken = started(
            folder,
            *("--candidate", PIN, "--seed", "7", "--full", "--concurrency", "4"),
            *("--journal", "broken.jsonl"),
        )
        shop.signal = lambda: os.kill(broken.pid, number)
        _, said = broken.communicate(timeout=90)
        assert code == broken.returncode, said
        kept = read_journal(folder / "broken.jsonl").entries
        shop.signal, before = None, shop.asked
        again = started(folder, "--quiet", "--resume", "broken.jsonl")
        out, err = again.communicate(timeout=90)
        assert 1 == again.returncode, err
    whole = read_journal(folder / "broken.jsonl")
    assert 20 < len(kept) < len(whole.entries)
    # What was under way at the kill may still reach the server afterwards.
    extra = shop.asked - before - (len(whole.entries) - len(kept))
    assert extra in range(5)
    graded = grade(folder / "broken.jsonl", suite=folder / "suite.toml")
    assert decided(alone) == decided(graded)
    assert '"BLOCK"' in out
    if number is signal.SIGINT:
        assert "go on with `llmguard suite run suite.toml --resume" in said
