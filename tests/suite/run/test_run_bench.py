"""The benchmark of the runner runs; its figures are for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "benchmarks" / "suite_runner_bench.py"


@pytest.mark.slow
def test_a_quick_run_prints_the_cost_per_call(tmp_path: Path) -> None:
    """With a model in the process, and with one behind a loopback socket."""
    words = [sys.executable, str(BENCH), "--quick", "--json", str(tmp_path / "f.json")]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=240, check=False
    )
    assert 0 == done.returncode, done.stderr
    found = json.loads((tmp_path / "f.json").read_text())["suite_runner"]
    assert {"in process", "loopback stub"} == found.keys()
    assert "suite run, journal" in done.stdout
