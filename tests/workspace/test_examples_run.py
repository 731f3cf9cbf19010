"""Every example under a `--help`, run as it stands: it works or says why not."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_help import commands, shown

pytestmark = pytest.mark.slow

STAYS = (
    *("llmguard console", "llmguard serve", "llmguard metrics --listen"),
    "llmguard queue watch",
)
"""They stay until they are stopped; tests of their own do that."""
CODES = (0, 1, 2, 3, 4)
PATIENCE = 120


def lines() -> list[str]:
    """Return each example once, but for those that ask another host."""
    every = dict.fromkeys(line for _, one in commands() for line in shown(one))
    return [line for line in every if "models pull" not in line]


def test_examples_end_with_a_sentence_where_nothing_is_set_up(tmp_path: Path) -> None:
    """An empty folder: what is missing is named, and no line is a traceback."""
    empty = tmp_path / "empty"
    empty.mkdir()
    _all_end_well(empty, tmp_path, lines())


def test_examples_end_with_a_sentence_after_a_demo(tmp_path: Path) -> None:
    """A folder with a store, tickets and a breaker's history."""
    lived = tmp_path / "lived"
    lived.mkdir()
    demo = _run("llmguard demo", lived)
    assert 0 == demo.returncode, demo.stderr
    _all_end_well(lived, tmp_path, lines())
    for line in ("llmguard queue list --queue demo", "llmguard breaker list"):
        assert 0 == _run(line, lived).returncode


def _all_end_well(folder: Path, tmp_path: Path, every: Iterable[str]) -> None:
    """Run each line in a copy of `folder` of its own."""

    def one(numbered: tuple[int, str]) -> str:
        number, line = numbered
        copy = tmp_path / f"run{number}"
        shutil.copytree(folder, copy)
        try:
            done = _run(line, copy)
        except subprocess.TimeoutExpired:
            ended = line.startswith(STAYS)
            return "" if ended else f"{line}: not done after {PATIENCE} s"
        finally:
            shutil.rmtree(copy)
        if done.returncode not in CODES or "Traceback" in done.stderr:
            return f"{line}: {done.returncode}\n{done.stderr}"
        if done.returncode and not (done.stdout + done.stderr).strip():
            return f"{line}: {done.returncode} and not a word"
        return ""

    with ThreadPoolExecutor(2) as pool:
        problems = [said for said in pool.map(one, enumerate(every)) if said]
    assert [] == problems


def _run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command line as a shell does, with nobody to answer questions."""
    _, *words = shlex.split(line)
    patience = 6 if line.startswith(STAYS) else PATIENCE
    home = {"HOME": str(folder), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "llmguard", *words],
        cwd=folder,
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
        stdin=subprocess.DEVNULL,
    )
