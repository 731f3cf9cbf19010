"""`llmguard which`: the version that ran, now or then: declared, applied, served.

Exit codes: 0 known; 1 nothing was declared then.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ._promotion import (
    Moment,
    env_of,
    env_option,
    json_option,
    moment,
    open_there,
    refusing,
    route_and_pin,
    store_option,
)
from ._text import age, emit_json, examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..promotion import Which

__all__ = ["which"]


@click.command(
    epilog=examples(
        "llmguard which triage", "llmguard which triage --at 2026-11-29T20:15Z"
    )
)
@click.argument("target", metavar="ROUTE|FUNCTION")
@click.option("--at", type=Moment(), help="2026-11-29T20:15Z, 2h, 3d, epoch seconds.")
@env_option
@store_option
@json_option
def which(
    *, target: str, at: float | None, env: str | None, url: str | None, as_json: bool
) -> None:
    """Say which model version a route ran, now or at a time, by whom and why.

    Declared is what the ledger says, applied what live processes say that they go by,
    served what was counted. What is not known is said, as a gap.
    """
    from ..promotion import which as ask

    store = open_there(url)
    route, _ = route_and_pin(store, env_of(env), target)
    with refusing():
        found = ask(store=store, route=route, env=env_of(env), at=at)
    if as_json:
        emit_json(asdict(found) | {"time": moment(found.at)})
    else:
        for line in _lines(found):
            click.echo(line)
    if not found.pin:
        raise SystemExit(1)


def _lines(found: Which) -> Iterator[str]:
    when = "now" if found.now else f"at {moment(found.at)}"
    yield f"{found.route} [{found.env}] {when}"
    yield f"  declared  {found.sentence}"
    if found.source == "models.lock":
        yield "            by models.lock; the ledger has no entry of the route yet"
    if found.since is not None:
        why = f": {found.reason}" if found.reason else ""
        since = moment(found.since)
        yield f"            r{found.rev} since {since} by {found.actor}{why}"
    if found.owner:
        yield f"            owner {found.owner}"
    for name, pins in (("shadow", found.shadows), ("quarantined", found.quarantined)):
        if pins:
            yield f"            {name}: {', '.join(pins)}"
    for one in found.applied:
        rev = "?" if one.rev is None else f"r{one.rev}"
        told = f", {age(found.at - one.at)} ago" if found.now else ""
        yield f"  applied   {rev:<5} {one.name}{told}  {one.argv}".rstrip()
    for each in found.served:
        echo = each.model or "no echo"
        yield f"  served    {each.pin}  {each.n} answers, echo {echo} ({each.verdict})"
    for gap in found.gaps:
        yield f"  gap       {gap}"
