"""The page on suites is true: its code runs, its tables are the builders'."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from llmguard import config
from llmguard.cli import cli
from llmguard.pins import forget
from llmguard.suite import Suite, expect, find_suite
from llmguard.suite._decorator import suites_of

PAGE = (Path(__file__).parents[2] / "docs/suites.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the page's first block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Run the page's Python in a project whose lock has its route."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_LOCK", str(tmp_path / "models.lock"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    config.reset()
    forget()
    model = ["--model", "gpt-5.2-2025-12-11", "--accept-opaque", "an example"]
    add = ["pin", "add", "triage", "--provider", "openai", *model]
    done = CliRunner().invoke(cli, add)
    assert 0 == done.exit_code, done.output
    (tmp_path / "documented.py").write_text(
        block("python") + "\n\ndef total_adds_up(value):\n    return True\n"
    )
    case = block("json").replace("I will sue you.", "TEXT")
    lines = [
        case.replace("t1", f"t{n}").replace("TEXT", "hm").strip() for n in range(20)
    ]
    lines.append('{"id": "b", "ticket": "?", "boundary": "answer"}')
    (tmp_path / "triage.jsonl").write_text("\n".join(lines))
    (tmp_path / "more.csv").write_text("ticket,expected.category\nhi,other\n")
    __import__("documented")
    yield sys.modules["documented"]
    del sys.modules["documented"]
    config.reset()
    forget()


def test_the_suite_next_to_the_function(module: ModuleType) -> None:
    """The page's suite is valid, for cases that it describes."""
    (found,) = suites_of(module.triage)
    found.validate()
    assert ("triage", 21, 6) == (found.name, len(found.cases), len(found.assertions))


def test_the_suite_in_a_file(module: ModuleType, tmp_path: Path) -> None:
    """The page's file is valid, for the page's function."""
    text = block("toml")
    for name in ("myapp.llm", "myapp.checks"):
        assert name in text
        text = text.replace(name, "documented")
    (tmp_path / "triage.toml").write_text(text)
    found = find_suite(tmp_path / "triage.toml")
    found.validate()
    assert 22 == len(found.cases)
    assert ["schema", "between:amount", "worst-prompt:between:amount"] == [
        each.name for each in found.assertions[:3]
    ]


def test_every_builder_and_setting_is_on_the_page() -> None:
    """Names in backticks, as they are called."""
    for name in (*expect.BUILDERS, "defaults"):
        assert re.search(rf"`(?:expect\.)?{name}\b", PAGE), name
    for name in Suite.__init__.__kwdefaults__:
        if name not in {"assertions", "source", "base", "owner", "defaults"}:
            assert f"`{name}`" in PAGE, name


def test_the_rates_on_the_page_are_the_defaults() -> None:
    """Each row of the table says what the builder does."""
    for kind, builder in (
        ("schema", "schema"),
        ("custom", "checks"),
        ("refusal", "refusal"),
        ("compliance", "compliance"),
        ("range", "between"),
        ("sentiment", "sentiment"),
        ("length", "length"),
        ("worst-prompt", "worst_prompt"),
    ):
        rates = expect.RATES[kind]
        row = re.search(rf"^\| `{builder}\b.*$", PAGE, re.MULTILINE)
        assert row is not None
        shown = f"{rates.tolerate:.1%}, {rates.unacceptable:.0%}"
        shown = shown.replace(".0%", "%").replace("%", " %")
        assert shown in row[0], (builder, shown)
