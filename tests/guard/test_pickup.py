"""Eight processes on one store: who goes by a change, and who goes by none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer

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
    _check(found)
    assert found["calls_by_a_stale_table"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the workers are forked")
def test_a_server_that_dies_leaves_nobody_unpinned(
    tmp_path: Path,
    postgres_server: PostgresServer,
    record_property: Callable[[str, object], None],
) -> None:
    """The same on PostgreSQL, whose server crashes under the load and comes back."""
    file = tmp_path / "figures.json"
    words = ["--quick", "--store", postgres_server.url(), "--outage", "6"]
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), *words, "--json", str(file)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "outage\n" == process.stdout.readline()
        postgres_server.stop(signal.SIGQUIT)
        postgres_server.start()
        process.stdout.read()
    assert 0 == process.returncode
    found = json.loads(file.read_text("utf-8"))
    record_property("pickup", found)
    _check(found)


def _check(found: dict[str, Any]) -> None:
    assert (16, 8, [0]) == (found["seen"], found["ended"], found["codes"])
    assert 0 == found["calls_to_other_pins"] < found["calls"]
