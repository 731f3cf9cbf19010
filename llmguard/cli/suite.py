"""`llmguard suite`: may this model version answer, by its behaviour?"""

from __future__ import annotations

from typing import Any, Final

import click

from ..errors import LLMGuardError
from ._late_group import LateGroup
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


class _Suites(LateGroup):
    table = _COMMANDS

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
