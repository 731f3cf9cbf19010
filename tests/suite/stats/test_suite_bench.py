"""The benchmark runs, and its arrays agree with the decider call by call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "suite_bench.py"


@pytest.mark.slow
def test_a_quick_run_prints_and_writes_its_figures(tmp_path: Path) -> None:
    """It ends with an error when a simulated run and the decider disagree."""
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, SCRIPT, "--quick", "--json", file],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    figures = json.loads(file.read_text())
    assert figures["checked"]["runs"] == figures["checked"]["agree"] == 15
    assert {"one_assertion", "whole_suite", "relative", "errors"} <= figures.keys()
    broken = figures["whole_suite"][-1]
    assert broken["truth"] == "20 % schema failures"
    assert int(broken["mean calls"]) <= 50
