"""`llmguard notes`: which versions a release runs, for its notes or manifest."""

from __future__ import annotations

import click

from ._promotion import (
    env_of,
    env_option,
    maybe_lock,
    open_there,
    refusing,
    store_option,
)
from ._text import examples

__all__ = ["notes"]


@click.command(epilog=examples("llmguard notes triage", "llmguard notes --format env"))
@click.argument("routes", nargs=-1)
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "json", "k8s", "env"]),
    default="md",
    show_default=True,
    help="Markdown, JSON, Kubernetes annotations, or variables.",
)
@click.option("--since-rev", default=0, help="Changes after this revision.")
@click.option("--json", "as_json", is_flag=True, help="The same as `--format json`.")
@env_option
@store_option
def notes(
    *,
    routes: tuple[str, ...],
    form: str,
    since_rev: int,
    as_json: bool,
    env: str | None,
    url: str | None,
) -> None:
    """Print what ROUTES (all by default) run, since when, by whom, on what evidence.

    The head of the ledger is part of it: who keeps these notes elsewhere can tell later
    whether the history was rewritten.
    """
    from ..promotion import notes as gather
    from ..promotion._notes import render

    with refusing():
        found = gather(
            store=open_there(url),
            routes=routes,
            env=env_of(env),
            since_rev=since_rev,
            lock=maybe_lock(),
        )
        click.echo(render(found, "json" if as_json else form))
