"""What is documented is true: tables are generated, snippets run, commands exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from llmguard.cli import cli
from llmguard.outcome import POLICY, KindPolicy, Signal

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_WORDS = {Signal.SUCCESS: "good", Signal.FAILURE: "bad", Signal.IGNORE: "-"}


def _row(kind: str, policy: KindPolicy) -> str:
    flags = [policy.retry, policy.reask, policy.fall_back]
    cells = ["yes" if flag else "" for flag in flags]
    cells += [_WORDS[policy.infra], _WORDS[policy.behaviour]]
    return f"| `{kind}` | " + " | ".join(cells) + " |"


def test_the_table_of_kinds_is_the_policy() -> None:
    """The architecture page shows exactly what the engine does."""
    text = (ROOT / "docs/architecture.md").read_text()
    wanted = "\n".join(_row(kind, policy) for kind, policy in POLICY.items())
    assert wanted in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist."""
    text = page.read_text()
    links = re.findall(r"\]\(([^)#\s]+)", text)
    for target in [*links, *re.findall(r'src(?:set)?="([^"]+)"', text)]:
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_anchors_name_headings(page: Path) -> None:
    """A link to a part of a page names a heading that is there."""
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            there = page.parent / target if target else page
            assert anchor in _anchors(there.read_text()), f"{target}#{anchor}"


def _anchors(text: str) -> set[str]:
    """Return the anchors of headings, made as GitHub and MyST make them."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documented_commands_exist(page: Path) -> None:
    """Every `llmguard verb` in a page is a verb of the command."""
    context = cli.make_context("llmguard", ["--help"], resilient_parsing=True)
    verbs = set(cli.list_commands(context))
    text = page.read_text()
    written = r"(?:`|bin/|^\$ |^ {2,4})llmguard ([a-z]+)"
    named = re.findall(written, text, re.MULTILINE)
    assert set() == {verb for verb in named if verb not in verbs}


def test_every_verb_has_help() -> None:
    """`llmguard VERB --help` says something for each verb."""
    runner = CliRunner()
    context = cli.make_context("llmguard", ["--help"], resilient_parsing=True)
    for verb in cli.list_commands(context):
        shown = runner.invoke(cli, [verb, "--help"])
        assert 0 == shown.exit_code, shown.output
        assert "Usage:" in shown.output


def _commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[click.Context]:
    context = click.Context(command, info_name=name, parent=parent)
    yield context
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None and not found.hidden:
                yield from _commands(found, inner, context)


def test_every_command_and_option_says_what_it_is() -> None:
    """Help begins with a sentence; no option is left to be guessed."""
    silent: list[str] = []
    for context in _commands(cli, "llmguard"):
        path, command = context.command_path, context.command
        first = (command.help or "").strip().partition("\n\n")[0]
        silent += [] if first.endswith((".", ":")) else [path]
        options = (one for one in command.params if isinstance(one, click.Option))
        silent += [f"{path} {o.opts[-1]}" for o in options if not (o.help or o.hidden)]
    assert [] == silent
