"""`llmguard shadow`: how often would the challenger have behaved otherwise?"""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

import click

from ._text import examples

__all__ = ["shadow"]

_COMMANDS: Final = {
    "compare": ("_shadow_compare", "Two recordings: what differs beyond the noise."),
    "plan": ("_shadow_plan", "How many requests, how long, what it costs."),
    "export": ("_shadow_export", "The pairs that a shadow kept, as files."),
    "report": ("_shadow_report", "What a shadow of live calls found, so far."),
    "start": ("_shadow_start", "Run a challenger beside a route, on live calls."),
    "status": ("_shadow_status", "What runs in shadow, and what has come of it."),
    "stop": ("_shadow_stop", "End what runs beside a route."),
}


class _Shadows(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every command."""
        return sorted(_COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f".{_COMMANDS[cmd_name][0]}", __package__)
        return cast("click.Command", getattr(module, f"{cmd_name}_command"))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in _COMMANDS.items()])


@click.group(
    cls=_Shadows,
    epilog=examples(
        "llmguard shadow start triage p-c2bb020ba1 --share 5%",
        "llmguard shadow report triage",
        after="Exit codes: 0 no alarm, 1 failed, 2 wrong usage, 3 alarm (with "
        "`--gate`: anything but PROMOTE).",
    ),
)
def shadow() -> None:
    """Run the challenger beside the incumbent, and report where they part."""
