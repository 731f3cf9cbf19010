"""The campaign, bounded: each trial once, and nothing may be lost by it."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import TRIALS, Room, SkippedError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", TRIALS)
def test_nothing_is_lost(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `nox -s campaign` does on a larger scale."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "room"
    folder.mkdir()
    room = Room(folder=folder, chance=random.Random(2), size=1)
    try:
        TRIALS[name](room)
    except SkippedError as error:
        pytest.skip(str(error))
    assert room.tried
    assert [] == room.lost


def test_the_command_prints_its_books(tmp_path: Path) -> None:
    """One line a trial, then what was lost; `--json` keeps it."""
    script = Path(__file__).with_name("campaign.py")
    books = tmp_path / "books.json"
    done = subprocess.run(
        [sys.executable, script, "wall clock", "--quick", "--json", books],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "wall clock steps: 17 steps" in done.stdout
    assert "1 trials, nothing lost" in done.stdout
    assert books.exists()
