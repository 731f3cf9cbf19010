"""The command's tree, and the examples that its help shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from llmguard.cli import cli

__all__ = ["commands", "shown"]


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ("llmguard",)
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command of the tree with the words that call it."""
    if command.params and command.params[0].name == "rest":
        return  # it stands in for a distribution that is not installed here
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


def shown(command: click.Command) -> list[str]:
    """Return the command lines under `Examples:`, continued lines joined."""
    _, _, block = (command.epilog or "").partition("\b\nExamples:\n")
    return [line.strip() for line in re.sub(r"\\\n\s*", "", block).splitlines()]
