"""`llmguard postmortem`: what an upgrade changed, did and taught, from the record."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError
from ._promotion import env_of, env_option, json_option, open_there, store_option
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..monitor.postmortem import PostMortem, Upgrade
    from ..store import Store

__all__ = ["postmortem"]

_FORMS = {"markdown": "md", "html": "html"}


@click.command(
    epilog=examples(
        "llmguard postmortem triage",
        "llmguard postmortem triage --upgrade -1 --output postmortem.md",
    )
)
@click.argument("name", required=False)
@click.option(
    "--upgrade", "number", type=int, help="Which one, from 1; -1 for the last."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(_FORMS)),
    default="markdown",
    show_default=True,
    help="What is written.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write instead."
)
@click.option(
    "--all",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per upgrade into this folder; files there are kept.",
)
@env_option
@store_option
@json_option
def postmortem(
    *,
    name: str | None,
    number: int | None,
    form: str,
    output: Path | None,
    folder: Path | None,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Write the post-mortem of an upgrade of NAME: a route, a version or a function.

    Without `--upgrade`, list the upgrades. `--all` writes those that are missing, of
    every route without a NAME: smooth upgrades too, for their reviews are short.
    """
    from ..monitor.postmortem import gather, upgrades_of
    from ..monitor.postmortem._gather import route_of

    store, env = open_there(url, create=False), env_of(env)
    if folder is not None:
        routes = (
            [route_of(store, env, name)] if name else store.ledger.route_states(env)
        )
        _write_all(store, env, sorted(routes), folder, form)
        return
    if name is None:
        raise click.UsageError("name a route, or say `--all FOLDER`")
    route = route_of(store, env, name)
    if number is None:
        _list(upgrades_of(store, env, route), route, as_json=as_json)
        return
    found = gather(store, env, route, number, now=time.time())
    if as_json:
        emit_json(found.document())
    elif output is not None:
        _write(output, _rendered(found, form))
        click.echo(f"wrote {output}")
    else:
        click.echo(_rendered(found, form), nl=False)


def _list(found: list[Upgrade], route: str, *, as_json: bool) -> None:
    from ..monitor.postmortem._markdown import moment

    if as_json:
        emit_json([one.document() for one in found])
        return
    if not found:
        click.echo(f"route {route} has no upgrade yet: no version replaced another")
        return
    rows = [
        (
            one.number,
            one.pin,
            one.incumbent or "none",
            moment(one.exposed),
            f"{one.end}{', by itself' if one.automatic else ''}",
        )
        for one in found
    ]
    head = ("UPGRADE", "VERSION", "AFTER", "USERS MET IT", "")
    click.echo(table([head, *rows], indent=0))
    click.echo(f"\nOne of them: `llmguard postmortem {route} --upgrade 1`")


def _write_all(
    store: Store, env: str, routes: list[str], folder: Path, form: str
) -> None:
    from ..monitor.postmortem import gather, upgrades_of

    folder.mkdir(parents=True, exist_ok=True)
    written = kept = 0
    for route in routes:
        for one in upgrades_of(store, env, route):
            safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", route)
            file = folder / f"{safe}-{one.number}.{_FORMS[form]}"
            if file.exists():  # people may have written what they learnt
                kept += 1
                continue
            found = gather(store, env, route, one.number, now=time.time())
            _write(file, _rendered(found, form))
            written += 1
            click.echo(f"wrote {file}")
    click.echo(f"{written} written, {kept} were there")


def _rendered(found: PostMortem, form: str) -> str:
    from ..monitor.postmortem import to_html, to_markdown

    return to_html(found) if form == "html" else to_markdown(found)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {str(file)!r}: {error}") from error
