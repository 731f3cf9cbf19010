"""`llmguard shadow stop`: end what runs beside a route."""

from __future__ import annotations

from dataclasses import asdict

import click

from ._shadow_live import actor, env_option, json_option, opened, reported, store_option
from ._text import emit_json, examples

__all__ = ["stop_command"]


@click.command("stop", epilog=examples("llmguard shadow stop triage --reason 'enough'"))
@click.argument("subject")
@click.option("--pin", default="", help="Only this challenger.")
@click.option("--reason", default="", help="Why; kept with the run.")
@env_option
@json_option
@store_option
def stop_command(
    *,
    subject: str,
    pin: str,
    reason: str,
    env: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """End the shadows of SUBJECT: a route, a function with `@shadow`, or a run's id.

    The pin is a candidate again; what was found stays, and can be reported.
    """
    from ..shadow.live._manage import stop_shadow

    store = opened(url)
    runs = reported(
        lambda: stop_shadow(
            store, subject, pin, actor=actor(), reason=reason, env=env or ""
        )
    )
    if as_json:
        emit_json([asdict(run) for run in runs])
    else:
        for run in runs:
            click.echo(f"{run.id}: pin {run.pin} on {run.subject} has stopped")
        if not runs:
            click.echo(f"{subject}: moved back to candidate; no run was open")
