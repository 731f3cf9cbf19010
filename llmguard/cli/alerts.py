"""`llmguard alerts`: what people were told, and whether they can be told."""

from __future__ import annotations

import time

import click

from .. import config
from ..errors import LLMGuardError
from ._promotion import (
    Moment,
    env_of,
    env_option,
    json_option,
    moment,
    open_there,
    store_option,
)
from ._text import emit_json, examples

__all__ = ["alerts"]

_DAY = 86_400.0


@click.group(epilog=examples("llmguard alerts list --since 2h"))
def alerts() -> None:
    """Alerts: the log of them, and a test of where they go (setting `alerts`)."""


@alerts.command(
    "list",
    epilog=examples(
        "llmguard alerts list --since 2h", "llmguard alerts list --env prod --json"
    ),
)
@click.option("--since", type=Moment(), help="2026-11-29T20:15Z, 2h, 3d; a day ago.")
@env_option
@store_option
@json_option
def list_(
    *, since: float | None, env: str | None, url: str | None, as_json: bool
) -> None:
    """List the alerts that the store's log has, oldest first."""
    store = open_there(url, create=False)
    start = time.time() - _DAY if since is None else since
    found = store.events.list(env=env_of(env), kind="alert.", since=start)
    if as_json:
        emit_json(
            [
                {"at": one.at, "kind": one.kind, "pin": one.pin, **dict(one.detail)}
                for one in found
            ]
        )
        return
    for one in found:
        word = one.kind.removeprefix("alert.")
        detail = one.detail
        click.echo(
            f"{moment(one.at)}  {word:8}  {detail.get('signal', '')}  {one.pin or '-'}"
        )
        click.echo(f"    {detail.get('evidence', '')}")
        click.echo(f"    look: {detail.get('command', '')}")
    if not found:
        click.echo("no alert in that time")


@alerts.command(epilog=examples("llmguard alerts test --env staging"))
@env_option
@json_option
def test(*, env: str | None, as_json: bool) -> None:
    """Send one test alert to every sink of the settings; exit code 1 if one fails."""
    from ..monitor.alerts import Alert
    from ..monitor.alerts._send import sink_of

    now = time.time()
    alert = Alert(
        version="",
        signal="alerts.test",
        since=now,
        evidence="This is a test of where alerts go; nothing is wrong.",
        command="llmguard alerts list",
        env=env_of(env),
        severity="info",
    )
    rows: list[dict[str, str]] = []
    for text in config.load().alerts:
        problem = ""
        try:
            sink_of(text).deliver(alert, delivery=f"test-{now:.0f}", at=now)
        except LLMGuardError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - a sink is foreign code
            problem = f"{type(error).__name__}: {error}"
        rows.append({"sink": _shown(text), "problem": problem})
    if as_json:
        emit_json(rows)
    else:
        for row in rows:
            click.echo(f"{row['sink']}: {row['problem'] or 'delivered'}")
    if any(row["problem"] for row in rows):
        raise SystemExit(1)


def _shown(text: str) -> str:
    """Return a sink's name without what may be secret in a URL's path."""
    from urllib.parse import urlsplit

    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.hostname}/..." if parts.hostname else text
