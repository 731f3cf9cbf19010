"""Eight processes promote, roll back and are killed, on both backends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("promotion_campaign.py")
RIGHT = {
    "acked_twice": 0,
    "missing": 0,
    "not_one_active": 0,
    "quarantined_with_traffic": 0,
    "rolled_back_to_quarantined": 0,
    "problem": "",
}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, on one backend and then on the other."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return str(tmp_path / "store.db")


@pytest.mark.parametrize(
    ("moves", "kills"), [(64, 3), pytest.param(1_600, 40, marks=pytest.mark.slow)]
)
def test_many_processes_promote_and_roll_back(
    tmp_path: Path,
    url: str,
    moves: int,
    kills: int,
    record_property: Callable[[str, object], None],
) -> None:
    """The history verifies, one version serves at every moment, no quarantine leaks."""
    (tmp_path / "pyproject.toml").write_text(
        "[tool.llmguard.gates]\nsuite = false\nhorizon = false\n"
    )
    numbers = [8, moves, kills, moves]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), url, *map(str, numbers)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (0, "") == (done.returncode, done.stderr)
    found = json.loads(done.stdout)
    record_property("races", found)
    assert RIGHT == {name: found[name] for name in RIGHT}
    assert found["rows"] >= found["won"] > 8
