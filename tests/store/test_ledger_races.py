"""Processes that move the same routes at once, and are killed while they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("ledger_campaign.py")
WRONG = {
    "untold": 0,
    "acked_twice": 0,
    "missing": 0,
    "gaps": 0,
    "forks": 0,
    "not_one_active": 0,
    "problem": "",
    "integrity": "ok",
}
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the workers are forked"
)


def _run(folder: Path, url: str, *numbers: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), url, *map(str, numbers)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_eight_processes_append_to_one_chain(
    tmp_path: Path, store_url: str, record_property: Callable[[str, object], None]
) -> None:
    """No gap, no fork, one winner for each revision, every loser told by whom."""
    found = _run(tmp_path, store_url, 8, 12, 0, 1)
    record_property("races", found)
    assert WRONG == {name: found[name] for name in WRONG}
    assert found["won"] == found["rows"] > 8
    assert found["lost"] > 0


@pytest.mark.parametrize(
    ("kills", "seed"), [(8, 2), pytest.param(200, 3, marks=pytest.mark.slow)]
)
def test_the_chain_outlives_killed_processes(
    tmp_path: Path,
    store_url: str,
    kills: int,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL at random moments; what was acknowledged is in a chain that holds."""
    found = _run(tmp_path, store_url, 4, 10**6, kills, seed)
    record_property("kills", found)
    assert WRONG == {name: found[name] for name in WRONG}
    assert found["rows"] >= found["won"] > 0
