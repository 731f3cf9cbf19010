"""`llmguard chaos`: plans of game days, looked at before they run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..chaos import DOES, Fault, load_plan
from ._options import json_option
from ._text import emit_json, examples, table

__all__ = ["chaos"]


@click.group(epilog=examples("llmguard chaos list", "llmguard chaos check chaos.toml"))
def chaos() -> None:
    """Faults on purpose, for game days.

    A plan runs in the process that starts it: `llmguard.chaos.start_from_settings()` in
    your application, and `LLMGUARD_CHAOS_PLAN=plan.toml` on the day.
    """


@chaos.command(epilog=examples("llmguard chaos check chaos.toml"))
@click.argument("plan", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check(plan: Path, as_json: bool) -> None:
    """Read a plan and say what it would do."""
    found = load_plan(plan)
    if as_json:
        emit_json(asdict(found))
        return
    click.echo(
        f"{found.duration:g} s, seed {found.seed}: {found.reason or 'no reason'}"
    )
    click.echo(
        table(
            (f"{fault.rate:.1%}", fault.do, _where(fault), DOES[fault.do])
            for fault in found.faults
        )
    )


@chaos.command("list", epilog=examples("llmguard chaos list --json"))
@json_option
def list_(as_json: bool) -> None:
    """List what a fault can do."""
    if as_json:
        emit_json(dict(DOES))
        return
    click.echo(table(DOES.items()))


def _where(fault: Fault) -> str:
    parts = {
        "function": fault.function,
        "tier": fault.tier,
        "pin": fault.pin,
        **fault.labels,
    }
    named = " ".join(f"{key}={value}" for key, value in parts.items() if value)
    return named or "every model"
