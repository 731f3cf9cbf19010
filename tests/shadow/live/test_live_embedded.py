"""The embedded upgrade, in shadow under live traffic: what it lost comes out on top."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli

EXAMPLE = Path(__file__).parents[3] / "examples/shadow/main.py"


@pytest.mark.slow
@pytest.mark.gguf
def test_the_inverted_slice_is_the_top_transition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triage 1.1 tells nobody of legal threats; the shadow shows it with tickets."""
    pytest.importorskip("llama_cpp")
    store = tmp_path / "shadow.db"
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)],
        env={**os.environ, "LLMGUARD_STORE": str(store)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    assert "132 tickets were answered by triage-1.0" in done.stdout
    monkeypatch.chdir(tmp_path)
    config.reset()
    shown = CliRunner().invoke(
        cli,
        ["shadow", "report", "__main__.triage", "--store", str(store), "--json"],
    )
    report = json.loads(shown.stdout)
    assert 132 == report["requests"]
    assert {} == report["challenger"]["lost"]
    top = report["transitions"][0]
    assert ("/needs_human", "true", "false") == (
        top["path"],
        top["before"],
        top["after"],
    )
    assert 0.0 == top["floor"]
    # What changed is shown first; which of its requests come first depends on their
    # ids, and legal threats are among them.
    examples = report["examples"]
    assert "/needs_human" == examples[0]["path"]
    lost = [each for each in examples if "/needs_human" == each["path"]]
    assert lost == examples[: len(lost)]
    first = next(each for each in lost if "slice=legal-threat" == each["stratum"])
    assert first["input"]
    assert '"needs_human":true' in first["incumbent"].replace(" ", "")
    assert '"needs_human":false' in first["challenger"].replace(" ", "")
    config.reset()
