"""Nothing acknowledged is lost and nothing is answered twice, whoever is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_campaign.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
@pytest.mark.parametrize(
    ("kills", "seed"), [(15, 1), pytest.param(200, 2, marks=pytest.mark.slow)]
)
def test_killed_workers(
    tmp_path: Path,
    kills: int,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """SIGKILL at random moments, then every acknowledgement is checked."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(kills), str(seed)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    for name, value in report.items():
        record_property(name, value)
    assert report["asked"] > kills
    assert report["answered"] > kills
    assert {name: report[name] for name in _WRONG} == _WRONG


_WRONG = {
    "lost": 0,
    "answered_twice": 0,
    "acked_twice": 0,
    "stuck": 0,
    "integrity": "ok",
}
