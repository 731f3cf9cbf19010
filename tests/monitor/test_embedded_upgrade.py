"""The embedded upgrade, forced to all traffic: everything real, nobody acts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "monitor_upgrade.py"


@pytest.mark.slow
@pytest.mark.gguf
@pytest.mark.timeout(900)
def test_a_forced_upgrade_ends_by_itself_with_its_post_mortem(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Valid answers throughout, the old version back, the story already written."""
    file, story = tmp_path / "figures.json", tmp_path / "story.md"
    options = ("--only", "breaker", "--json", str(file), "--story", str(story))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert 0 == done.returncode, done.stderr
    found = json.loads(file.read_text("utf-8"))
    back = found["1.0 answers again"]
    record_property("back", back)
    words = f"from the first bad output: {back['calls']} calls, {back['seconds']} s\n"
    sys.stdout.write(words)
    assert 0 == found["answers that break the schema"]
    assert "triage-1.0" == found["serves"]
    assert "worse" == found["probe"]["verdict"]
    written = found["post-mortem"]
    text = story.read_text("utf-8")
    assert "was rolled back by itself" in text
    # The slice: threats that the old version gives to a person.
    assert any("threat_reaches_person" in name for name in written["names"])
    assert all(name in text for name in written["names"])
