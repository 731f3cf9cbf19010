"""`llmguard suite`: may this model version answer, by its behaviour?"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, cast

import click

from ..errors import LLMGuardError
from ._text import examples

__all__ = ["suite"]

_COMMANDS: Final = {
    "calibrate": ("_suite_calibrate", "Measure how often a detector errs."),
    "changed": ("_suite_changed", "Suites that a change of the lock calls for."),
    "grade": ("_suite_grade", "Judge a journal again, without calls."),
    "list": ("_suite_show", "The suites that are declared."),
    "power": ("_suite_power", "Calls needed and what can be seen, beforehand."),
    "run": ("_suite_run", "Call a candidate until it is decided."),
    "show": ("_suite_show", "What a suite claims, or what a run found."),
}
_ERROR: Final = 3


class _Broken(click.ClickException):
    """An error of ours as one message; exit code 3, which no verdict on a model has."""

    exit_code = _ERROR


class _Wrong(click.UsageError):
    """Wrong usage, told apart from UNDECIDED, which exits with 2."""

    exit_code = _ERROR


class _Suites(click.Group):
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
        own: object = getattr(module, cmd_name, None)
        return cast("click.Command", getattr(module, f"{cmd_name}_command", own))

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands from the table, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row[1]) for name, row in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run one; nothing but a verdict exits with 1 or 2."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _Wrong(error.format_message(), error.ctx) from error
        except (LLMGuardError, OSError) as error:
            raise _Broken(str(error)) from error


@click.group(
    cls=_Suites,
    epilog=examples(
        "llmguard suite run triage",
        "llmguard suite show triage",
        after="Exit codes of `run` and `grade`: 0 PROMOTE, 1 BLOCK, 2 UNDECIDED, 3 "
        "ERROR (wrong usage included).",
    ),
)
def suite() -> None:
    """Behavioural contract suites: decide on a model version with few calls."""
