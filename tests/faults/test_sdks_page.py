"""Bodies with SDKs of their own: every fault ends in a declared outcome."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.testing import FAULTS

ROOT = Path(__file__).parents[2]
HIDDEN = {
    ("html", "openai"): "bad_json",
    ("html", "anthropic"): "bad_json",
    ("error_body", "anthropic"): "schema",
    ("error_body", "httpx"): "schema",
    ("429_quota", "anthropic"): "throttled",
    ("no_choices", "anthropic"): "empty",
    ("null_choices", "anthropic"): "empty",
    ("content_filter", "anthropic"): "refusal",
}
"""Where an SDK or its API hides what went wrong; the page says why."""


@pytest.mark.slow
def test_every_fault_ends_as_declared(tmp_path: Path) -> None:
    """By kind and tier, whatever the SDK; the page shows the same."""
    file = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/sdk_table.py", "--json", file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(file.read_text())
    page = (ROOT / "docs" / "sdks.md").read_text(encoding="utf-8")
    assert {n for n, f in FAULTS.items() if not f.stream_only} == found.keys()
    for fault, cells in found.items():
        assert {"openai", "anthropic", "httpx"} <= cells.keys()
        for sdk, cell in cells.items():
            wanted = HIDDEN.get((fault, sdk), cell["expected"])
            assert (fault, sdk, wanted) == (fault, sdk, cell["kind"])
            declared = {"model", "static", "error `bad_request`"}
            assert cell["by"] in declared
    if "litellm" in found["ok"]:  # heavy, and not everywhere
        shown = re.search(r"<!-- sdks -->\n(.*?)<!-- /sdks -->", page, re.DOTALL)
        assert shown is not None
        assert shown.group(1) in done.stdout
