"""Every `llmguard ...` command that a message or a page names can be typed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from llmguard.cli import cli

ROOT = Path(__file__).parents[2]
CODE = ("llmguard", "fallbacks/llmguard_fallbacks", "models", "examples")
PAGES = ("docs/*.md", "README.md", "*/README.md")
NAMED = re.compile(r"`(?:[A-Z_]+=\S+ )*llmguard ([a-z][^`]*)`")
TYPED = re.compile(r"^\$ llmguard ([a-z].*)$", re.MULTILINE)
UNKNOWN = "\0"
"""Stands for the value of an f-string's field."""


def texts() -> Iterator[tuple[str, str]]:
    """Yield every piece of text with its place."""
    for folder in CODE:
        for file in sorted((ROOT / folder).rglob("*.py")):
            source = file.read_text("utf-8")
            if "`llmguard " not in source:
                continue
            inside: set[int] = set()
            for node in ast.walk(ast.parse(source)):
                place = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.JoinedStr):
                    inside |= {id(part) for part in node.values}
                    yield place, "".join(map(_part, node.values))
                elif isinstance(node, ast.Constant) and id(node) not in inside:
                    yield place, str(node.value)
    for pattern in PAGES:
        for file in sorted(ROOT.glob(pattern)):
            yield str(file.relative_to(ROOT)), file.read_text("utf-8")


def _part(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else UNKNOWN


def named() -> Iterator[tuple[str, str]]:
    """Yield every command line, with the place that names it."""
    for place, text in texts():
        for found in (*NAMED.finditer(text), *TYPED.finditer(text)):
            yield place, " ".join(found[1].partition("#")[0].split())


@cache
def _options(command: click.Command) -> frozenset[str]:
    found = {name for each in command.params for name in each.opts}
    return frozenset(found | {"--help", "-h", "--version"})


def problem(line: str) -> str:
    """Return what is wrong with a command line, as far as its text shows it."""
    command: click.Command = cli
    context = click.Context(cli)
    known = _options(cli)
    for word in line.split():
        if word.startswith("-") and word.strip("-"):
            option = re.match(r"--?[a-z][a-z-]*", word)
            if option is not None and option[0] not in known:
                return f"no option {option[0]}"
        elif isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word):
            inner = command.get_command(context, word)
            if inner is None:
                return f"no command {word}"
            if inner.params and inner.params[0].name == "rest":
                return ""  # it stands in for what is not installed here
            command, known = inner, known | _options(inner)
    return ""


def test_commands_that_are_named_exist() -> None:
    """Verbs and options; a message that sends nowhere is worse than none."""
    lines = list(named())
    assert len(lines) > 300
    wrong = [
        f"{place}: `llmguard {line}`: {what}"
        for place, line in lines
        if (what := problem(line))
    ]
    assert [] == wrong


def test_a_wrong_command_is_noticed() -> None:
    """A verb, a subverb and an option that there are not."""
    assert "no command unlock" == problem("unlock triage")
    assert "no command mend" == problem("queue mend ID")
    assert "no option --freeze" == problem("monitor baseline FUNCTION --freeze")
    assert "" == problem("promote PIN --to canary --weight 5%")
