"""The command's entry: finds verb groups late, so that `--help` stays fast.

Groups of other distributions come in through the entry-point group `llmguard.cli`.
Exit codes: 0 done; 1 failed, or `check` found something; 2 wrong usage; 3 a gate was
not passed; 4 the lock is stale.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final, cast

import click

from .._version import __version__
from ..errors import LLMGuardError, LockError
from ._late_group import NamingGroup
from ._text import examples

__all__ = ["cli", "main"]

_BUILT_IN: Final = {
    "alerts": ("llmguard.cli.alerts", "alerts", "What people were told; a test."),
    "approve": ("llmguard.cli.approve", "approve", "Sign one exact move of a version."),
    "experiment": (
        "llmguard.cli.experiment",
        "experiment",
        "Arms that share live traffic, compared.",
    ),
    "history": ("llmguard.cli.history", "history", "Every move of every version."),
    "notes": ("llmguard.cli.notes", "notes", "What a release runs, for its notes."),
    "plan": ("llmguard.cli.plan", "plan", "What the lock would change, and the gates."),
    "promote": (
        "llmguard.cli.promote",
        "promote",
        "Give a version traffic, through gates.",
    ),
    "quarantine": (
        "llmguard.cli.quarantine",
        "quarantine",
        "Keep a version from the traffic.",
    ),
    "resume": ("llmguard.cli.quarantine", "resume", "Lift a quarantine."),
    "rollback": (
        "llmguard.cli.rollback",
        "rollback",
        "Back to the last good version, now.",
    ),
    "which": ("llmguard.cli.which", "which", "The version that ran, now or then."),
    "breaker": ("llmguard.cli.breaker", "breaker", "List, open, close, resume."),
    "chaos": ("llmguard.cli.chaos", "chaos", "Faults on purpose: plans checked."),
    "check": ("llmguard.cli.check", "check", "What must not be merged or released."),
    "completion": ("llmguard.cli.completion", "completion", "Shell completion."),
    "doctor": (
        "llmguard.cli.doctor",
        "doctor",
        "What is missing, and what repairs it.",
    ),
    "drill": ("llmguard.cli.drill", "drill", "What the fallbacks are worth."),
    "init": ("llmguard.cli.init", "init", "Set up a project: settings, lock, gate."),
    "monitor": ("llmguard.cli.monitor", "monitor", "What versions say, and drift."),
    "metrics": ("llmguard.cli.metrics", "metrics", "Counts for Prometheus."),
    "pin": ("llmguard.cli.pin", "pin", "The model versions that may run."),
    "postmortem": ("llmguard.cli.postmortem", "postmortem", "What an upgrade did."),
    "report": ("llmguard.cli.report", "report", "The weekly review."),
    "shadow": ("llmguard.cli.shadow", "shadow", "The challenger beside the incumbent."),
    "scan": ("llmguard.cli.scan", "scan", "Calls of models that nothing guards."),
    "slo": ("llmguard.cli.slo", "slo", "What functions owe, and where they stand."),
    "status": ("llmguard.cli.status", "status", "What runs, what is degraded, why."),
    "store": ("llmguard.cli.store", "store", "Check, upgrade, back up the store."),
    "suite": ("llmguard.cli.suite", "suite", "May this model version answer?"),
}
_ELSEWHERE: Final = {
    "console": ("'llmguard-fallbacks[console]'", "Answer tickets; see what runs."),
    "demo": (
        "llmguard-fallbacks[llamacpp] llmguard-models",
        "The whole chain, offline.",
    ),
    "models": ("llmguard-fallbacks", "Weights: list, add, pull, verify, bench."),
    "queue": ("llmguard-fallbacks", "Tickets that wait for a person."),
    "serve": (
        "'llmguard-fallbacks[serve,llamacpp]'",
        "Local models over OpenAI's API.",
    ),
}


class _Verbs(NamingGroup):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return every verb, installed or not."""
        return sorted({*_BUILT_IN, *_ELSEWHERE, *(e.name for e in _plugins())})

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import one verb; a missing distribution explains itself when run."""
        if cmd_name in _BUILT_IN:
            module, attribute, _ = _BUILT_IN[cmd_name]
            return cast("click.Command", getattr(import_module(module), attribute))
        for plugin in _plugins():
            if plugin.name == cmd_name:
                return cast("click.Command", plugin.load())
        if cmd_name in _ELSEWHERE:
            return _missing(cmd_name, *_ELSEWHERE[cmd_name])
        return None

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the verbs from the table, without importing them."""
        known = {name: row[2] for name, row in _BUILT_IN.items()}
        known |= {name: row[1] for name, row in _ELSEWHERE.items()}
        rows = [(name, known.get(name, "")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _plugins() -> list[EntryPoint]:
    return list(entry_points(group="llmguard.cli"))


def _missing(name: str, distributions: str, help_text: str) -> click.Command:
    # Whatever follows, `--help` too, is answered with what has to be installed.
    settings = {"ignore_unknown_options": True}

    @click.command(
        name, help=help_text, add_help_option=False, context_settings=settings
    )
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        _ = rest
        raise click.ClickException(
            f"`llmguard {name}` is not installed here; run "
            f"`pip install {distributions}`"
        )

    return command


@click.group(
    cls=_Verbs,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "LLMGUARD",
    },
    epilog=examples(
        "llmguard init --example",
        "llmguard scan src",
        "llmguard status",
        after="Exit codes: 0 done, 1 failed or found something, 2 usage, 3 gate not "
        "passed, 4 lock stale. Shell completion: `llmguard completion bash`.",
    ),
)
@click.version_option(__version__, prog_name="llmguard")
def cli() -> None:
    """Keep functions that call an LLM dependable when the model changes."""


def main() -> None:
    """Run the command; an error of ours is one message, not a traceback."""
    try:
        cli(prog_name="llmguard", standalone_mode=True)
    except LockError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(4)
    except (LLMGuardError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
