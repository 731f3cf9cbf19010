"""The page on running suites is true."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard.cli import cli
from llmguard.suite import read_prices

PAGE = (Path(__file__).parents[3] / "docs" / "suite-runs.md").read_text()


def fences(kind: str) -> list[str]:
    """Return the page's blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_snippet_runs(
    project: Path, recording: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, in a project with a suite called `shop`."""
    ids = [f"c{n:02}" for n in range(20)]
    recording("answers.jsonl", {one: [{"kind": "refund"}] * 5 for one in ids})
    (snippet,) = fences("python")
    exec(compile(snippet, "suite-runs.md", "exec"), {})  # noqa: S102 - our own page


def test_the_prices_can_be_read(tmp_path: Path) -> None:
    """The table of the page is a table of prices."""
    (text,) = fences("toml")
    path = tmp_path / "prices.toml"
    path.write_text(text)
    found: Any = tomllib.loads(text)
    assert found.keys() == read_prices(path).models.keys()


def test_every_option_that_is_named_exists() -> None:
    """Of `run`, `grade` and `power`, whose help is asked."""
    helped = "".join(
        CliRunner().invoke(cli, ["suite", verb, "--help"]).output
        for verb in ("run", "grade", "power")
    )
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", PAGE))
    assert {one for one in named if one not in helped} == set()


def test_the_journal_says_what_the_page_says(project: Path) -> None:
    """The header's keys, and what a call leaves out."""
    words = ["suite", "run", "shop", "--candidate", "replay:old.jsonl", "--quiet"]
    CliRunner().invoke(cli, [*words, "--no-evidence", "--journal", "run.jsonl"])
    head, call = (project / "run.jsonl").read_text().splitlines()[:2]
    assert {"suite", "suite_digest", "source", "function", "candidate", "seed"} <= (
        json.loads(head).keys()
    )
    assert {"case", "arm", "round", "order", "kind", "text"} <= json.loads(call).keys()
    assert "refusal" not in call
