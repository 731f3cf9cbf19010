"""`llmguard shadow report`: what a shadow found, beyond both versions' own noise."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ._shadow_live import (
    env_option,
    found_run,
    json_option,
    opened,
    reported,
    store_option,
)
from ._text import examples

__all__ = ["report_command"]

_ALARM = 3


@click.command(
    "report", epilog=examples("llmguard shadow report triage --evidence --gate")
)
@click.argument("subject")
@click.option("--pin", default="", help="Only this challenger.")
@click.option("--function", default="", help="Which function of the route.")
@click.option("--incumbent", default="", help="Id of an earlier incumbent.")
@click.option("--evidence", is_flag=True, help="Keep the verdict for gates.")
@click.option("--gate", is_flag=True, help="Exit with 3 unless the verdict is PROMOTE.")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page."
)
@env_option
@json_option
@store_option
def report_command(
    *,
    subject: str,
    pin: str,
    function: str,
    incumbent: str,
    evidence: bool,
    gate: bool,
    html: Path | None,
    env: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Report what the shadow of SUBJECT has found: a route, a function or a run's id.

    The newest run is taken, one that still runs before others; it may be asked at any
    time, the evidence holds however often one looks. Exit code 3 on an alarm.
    """
    from ..shadow import render
    from ..shadow.live._read import report_of

    if html is not None:
        render.need_jinja()
    store = opened(url)
    run = found_run(store, subject, env, pin)
    found = reported(
        lambda: report_of(
            store, run, now=time.time(), function=function, incumbent=incumbent
        )
    )
    if evidence:
        found = found.stored(store)
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(render.html(found), encoding="utf-8")
    click.echo((render.json if as_json else render.text)(found))
    if found.alarm or (gate and found.verdict != "PROMOTE"):
        raise SystemExit(_ALARM)
