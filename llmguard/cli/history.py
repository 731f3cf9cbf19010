"""`llmguard history`: every move of a route's versions, and whether the record holds.

Exit codes: 0 done; 1 the ledger was tampered with.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ._promotion import (
    Moment,
    entry_document,
    env_of,
    env_option,
    json_option,
    moment,
    open_there,
    refusing,
    store_option,
)
from ._text import emit_json, examples

if TYPE_CHECKING:
    from ..store import Entry

__all__ = ["history"]


@click.command(
    epilog=examples("llmguard history triage --limit 5", "llmguard history --verify")
)
@click.argument("route", required=False)
@click.option("--until", type=Moment(), help="2026-11-29T20:15Z, 2h, 3d, epoch.")
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many moves; 0 for all.",
)
@click.option("--verify", is_flag=True, help="Walk the whole chain of hashes first.")
@env_option
@store_option
@json_option
def history(
    *,
    route: str | None,
    until: float | None,
    limit: int,
    verify: bool,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """List the moves of ROUTE, or of all, newest first; `--limit 0` for all.

    With `--verify`, exit code 1 and the first wrong row when somebody changed it.
    """
    from ..promotion import history as read

    store = open_there(url, create=False)
    with refusing():
        rows = read(
            store=store, route=route, env=env_of(env), until=until, limit=limit or None
        )
        check = store.ledger.verify() if verify else None
    if as_json:
        document: dict[str, object] = {"entries": [entry_document(row) for row in rows]}
        emit_json(document | ({"check": asdict(check)} if check else {}))
    else:
        for row in rows:
            _print(row, everywhere=route is None)
        if not rows:
            what = f"route {route!r}" if route else "any route"
            click.echo(
                f"no entries of {what} in {env_of(env)!r}: the lock alone decides there"
            )
        if check and check.ok:
            head = f", head {check.head}" if check.head else ""
            click.echo(f"the chain holds: {check.entries} entries{head}")
    if check and not check.ok:
        raise click.ClickException(check.problem)


def _print(row: Entry, *, everywhere: bool) -> None:
    from ..promotion._history import approvers, sentence

    where = f"{row.route}: " if everywhere else ""
    click.echo(
        f"{moment(row.at)}  r{row.rev:<4} {where}{sentence(row)}  by {row.actor}"
    )
    if row.reason:
        click.echo(f"{'':28}{row.reason}")
    names = approvers(row)
    if names:
        click.echo(f"{'':28}approved by {', '.join(names)}")
    for digest in row.evidence:
        click.echo(f"{'':28}evidence {digest}")
