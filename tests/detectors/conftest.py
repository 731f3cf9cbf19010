"""Labelled answers, where the test data is."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

FAMILIES = ("gpt4", "llama2orig", "llama2new")


@pytest.fixture(scope="session")
def xstest() -> dict[str, list[tuple[str, str]]]:
    """Return (answer, human label) pairs of each model."""
    root = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("LLMGUARD_TEST_DATA", root)) / "xstest"
    if not folder.is_dir():
        pytest.skip(f"no {folder}; set LLMGUARD_TEST_DATA")
    return {
        family: [
            (row["output"], row["labels"]["human"])
            for row in map(json.loads, _lines(folder / f"outputs.{family}.jsonl.gz"))
        ]
        for family in FAMILIES
    }


def _lines(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return list(lines)
