"""The published fault table is what a fresh run measures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_page_shows_a_fresh_measurement() -> None:
    """Run `python benchmarks/fault_table.py --write` when this fails."""
    done = subprocess.run(
        [sys.executable, "benchmarks/fault_table.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- faults -->\n(.*?)<!-- /faults -->", page, re.DOTALL)
    assert shown is not None
    assert done.stdout == shown.group(1)
