"""The page on shadow mode: its snippets run, its settings and figures are real."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from llmguard.cli import cli
from llmguard.shadow import DIRECTIONS, Rung, read_settings
from llmguard.shadow._rungs import TRAITS

PAGE = Path(__file__).parents[2] / "docs" / "shadow.md"


def _blocks(language: str) -> list[str]:
    found: list[str] = re.findall(
        rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL
    )
    return found


def test_the_snippets_run() -> None:
    """Each in a namespace of its own."""
    snippets = _blocks("python")
    assert snippets
    for snippet in snippets:
        exec(compile(snippet, PAGE.name, "exec"), {})  # noqa: S102 - what is tested


def test_the_settings_are_read(tmp_path: Path) -> None:
    """The file of the page is valid as it stands, its schema beside it."""
    (tmp_path / "triage.schema.json").write_text('{"type": "object"}', encoding="utf-8")
    file = tmp_path / "shadow.toml"
    file.write_text(_blocks("toml")[0], encoding="utf-8")
    found = read_settings(file)
    assert "/needs_human" in found.ladder.rules.critical
    assert ("trace.id", "user") == (found.read.id, found.read.cluster)


def test_the_plan_is_what_the_command_prints() -> None:
    """Word for word."""
    shown = next(block for block in _blocks("console") if "shadow plan" in block)
    command, _, expected = shown.partition("\n")
    words = command.removeprefix("$ llmguard ").split()
    printed = CliRunner().invoke(cli, words).output
    assert expected.strip() in printed


def test_every_rung_path_and_direction_is_named() -> None:
    """The table is complete."""
    text = PAGE.read_text("utf-8")
    assert all(f"| {rung.value} " in text for rung in Rung)
    assert all(f"`{trait}`" in text for trait in TRAITS)
    assert {"newly refuses", "newly complies"} <= set(DIRECTIONS)
