"""`llmguard demo`: real tickets, a real local model, a real outage, all offline."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from llmguard.cli._text import examples
from llmguard.errors import ConfigError
from llmguard.store import open_store

from ._show import show_act, show_line, show_summary, summary
from ._story import Line, Story, Weights

__all__ = ["demo"]

_MODEL = "triage-1.0"
_QUEUE = "demo"


@click.command(epilog=examples("llmguard demo"))
@click.option(
    "--json", "as_json", is_flag=True, help="Print only the figures, as JSON."
)
def demo(as_json: bool) -> None:
    """Run the whole chain on real tickets while its tiers die one by one.

    Needs no key and no network: the embedded model plays the remote provider on a
    loopback port and is the local tier too. Leaves tickets for `llmguard queue`.
    """
    weights, tickets = _embedded()
    store = open_store()
    story = Story(weights=weights, tickets=tickets, queue=_QUEUE)
    lines: list[Line] = []
    for item in story.run():
        if isinstance(item, Line):
            lines.append(item)
        if not as_json:
            show_line(item) if isinstance(item, Line) else show_act(item)
    figures = summary(lines, story.events, story.remote_hits)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
    else:
        show_summary(figures, queue=_QUEUE, store=store.url)
    if figures["failed"]:
        raise SystemExit(1)


def _embedded() -> tuple[Weights, list[dict[str, Any]]]:
    """Find the embedded model through its entry point."""
    for plugin in entry_points(group="llmguard.models"):
        known = plugin.load()()
        if _MODEL in known:
            package = __import__(plugin.module)
            entry = known[_MODEL]
            weights = Weights(
                path=Path(package.path(_MODEL)),
                sha256=entry["sha256"],
                prompt=entry["prompt"],
            )
            return weights, package.demo_tickets()
    raise ConfigError(
        f"the embedded model {_MODEL!r} is not installed: run "
        "`pip install llmguard-models 'llmguard-fallbacks[llamacpp]'`"
    )
