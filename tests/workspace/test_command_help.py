"""The command's own help: examples that parse, and options that mean one thing."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from command_help import commands, shown

from llmguard.cli import cli

PRINTS_NO_DATA = {"completion"}
ONE_MEANING = ("--store", "--env", "--lock", "--actor")
FILES = (
    *("chaos.toml", "run.jsonl", "labelled.jsonl", "answer.json", "a.jsonl", "b.jsonl"),
    *("a-again.jsonl", "last-month.jsonl", "this-week.jsonl"),
)


def parse(line: str) -> str:
    """Let click read a command line as far as it goes without running it."""
    name: str | None
    name, *words = shlex.split(line)
    command: click.Command = cli
    context: click.Context | None = None
    while True:
        context = command.make_context(name, words, parent=context)
        # Where click keeps a group's words differs from version to version.
        kept = "_protected_args" if hasattr(context, "_protected_args") else "args"
        left = [*getattr(context, kept), *(context.args if kept != "args" else ())]
        if not isinstance(command, click.Group) or not left:
            return context.command_path
        name, inner, words = command.resolve_command(context, left)
        assert inner is not None
        command = inner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


def test_every_help_ends_with_examples_that_parse(folder: Path) -> None:
    """They call the command that they stand under, or one of its group's."""
    assert folder == Path.cwd()
    known = dict(commands())
    assert len(known) > 80
    for path, command in known.items():
        lines = shown(command)
        assert lines, f"`{path} --help` has no examples"
        for line in lines:
            called = parse(line)
            assert called in known
            assert path == called or called.startswith(f"{path} "), line


def test_examples_fit_a_terminal() -> None:
    """Nothing is cut or wrapped at 80 columns."""
    for path, command in commands():
        context = click.Context(command, info_name=path, terminal_width=80)
        text = command.get_help(context)
        block = text[text.index("  Examples:\n") :].splitlines()
        assert [] == [line for line in block if len(line) > 80]


def test_whatever_prints_data_prints_json() -> None:
    """Every command that is no group takes `--json`."""
    for path, command in commands():
        if isinstance(command, click.Group) and not command.invoke_without_command:
            continue
        options = {name for each in command.params for name in each.opts}
        assert "--json" in options or path.split()[-1] in PRINTS_NO_DATA, path


@pytest.mark.parametrize("name", ONE_MEANING)
def test_options_mean_the_same_everywhere(name: str) -> None:
    """The same words in every verb, but for the audit's own `--actor`."""
    told = {
        each.help
        for path, command in commands()
        for each in command.params
        if isinstance(each, click.Option) and name in each.opts
        if path != "llmguard console audit"
    }
    assert 1 == len(told)


@pytest.mark.parametrize(
    ("line", "meant"), [("statsu", "status"), ("suite rnu", "run")]
)
def test_a_slip_is_answered_with_what_was_meant(line: str, meant: str) -> None:
    """Groups that import their commands late name them all the same."""
    with pytest.raises(click.UsageError) as caught:
        cli.main(line.split(), standalone_mode=False)
    assert f"Did you mean {meant!r}?" in caught.value.format_message()


def test_a_store_may_be_named_last(folder: Path) -> None:
    """`--store` is taken by the group and by each of its commands."""
    del folder
    for path, command in commands():
        if path.startswith(("llmguard queue ", "llmguard console ")):
            own = {name for each in command.params for name in each.opts}
            assert "--store" in own or isinstance(command, click.Group), path
    for line in ("queue list --store other.db", "queue --store other.db list"):
        with pytest.raises(click.ClickException, match=r"other\.db'"):
            cli.main(line.split(), standalone_mode=False)
