"""Eight processes on one store: who goes by a change, and who goes by none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "pickup_bench.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers are forked")
def test_every_process_goes_by_a_rollback(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Busy and idle ones; while the store is away or locked, by the last good table.

    How soon is measured by the benchmark that this runs, and judged by people.
    """
    file = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--json", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert 0 == done.returncode, done.stderr
    found = json.loads(file.read_text("utf-8"))
    record_property("pickup", found)
    assert (16, 8, [0]) == (found["seen"], found["ended"], found["codes"])
    assert found["calls_by_a_stale_table"]
    assert 0 == found["calls_to_other_pins"] < found["calls"]
