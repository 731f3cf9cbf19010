"""The upgrade story with the embedded models, through the command alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.gguf
@pytest.mark.skipif(shutil.which("sh") is None, reason="the drill is a shell script")
def test_the_drill(tmp_path: Path) -> None:
    """Plan, the suite blocks the gate, forced canary, rollback, history and notes."""
    pytest.importorskip("llama_cpp", reason="the local runtime is not installed")
    for name in ("upgrade_drill", "suites"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / name)
    there = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "drill.sh"],
        cwd=tmp_path / "upgrade_drill",
        env=os.environ | {"PATH": there, "LLMGUARD_ACTOR": "ann@example.com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    out = done.stdout + done.stderr
    new = re.search(r"triage: (p-\w+) \(allowed, not active\) is embedded:t", out)
    assert new, out
    pin = new[1]
    parts = re.split(r"^## (?!Models)", done.stdout, flags=re.MULTILINE)[1:]
    plan, suite, gate, canary, back, story, notes = parts[1:]
    assert f"suite `triage` has said nothing about {pin} yet" in plan
    assert "(exit code 3)" in plan
    assert suite.split("\n")[2].startswith("BLOCK  `stakes-reach-a-person`")
    assert "(exit code 1)" in suite
    # Errors are on another stream, so only the codes say where they belong.
    assert "(exit code 3)" in gate
    assert f"{pin} is the canary" in canary
    assert "forced   suite" in canary
    assert f"5% of the calls {pin}" in canary
    assert f"the canary {pin} is quarantined" in back
    assert "(exit code 3)" in back
    assert "forced past suite: 1.1 is better on the benchmark" in story
    assert "the chain holds: 4 entries" in story
    assert "| `triage` | embedded:triage-1.0 (llama.cpp, immutable)" in notes
    assert 'llmguard/triage.model: "llama.cpp:embedded:triage-1.0"' in notes
    assert f"{pin} (owner: support-desk) may not become canary" in done.stderr
    assert "is quarantined in 'prod' by ann@example.com" in done.stderr
