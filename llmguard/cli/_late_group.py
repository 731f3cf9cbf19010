"""Groups whose commands are imported when they are used, so that `--help` is fast."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, cast

import click

__all__ = ["LateGroup", "NamingGroup"]


class NamingGroup(click.Group):
    """A group that names what was meant, though it holds no commands yet."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say which one is called almost so."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            told = error.format_message()
            if not near or near[0] in told:
                raise
            raise click.UsageError(f"{told} Did you mean {near[0]!r}?", ctx) from error


class LateGroup(NamingGroup):
    """Finds command `x` in a module of this package: `x_command`, else `x`.

    Attributes:
        table: For each command its module and its line in the group's help.
    """

    table: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command."""
        return sorted(self.table)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.table:
            return None
        module = import_module(f".{self.table[cmd_name][0]}", __package__)
        own: object = getattr(module, cmd_name, None)
        return cast("click.Command", getattr(module, f"{cmd_name}_command", own))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            rows = sorted((name, row[1]) for name, row in self.table.items())
            formatter.write_dl(rows)
