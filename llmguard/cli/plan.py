"""`llmguard plan`: what the lock asks for, what the ledger says, what the gates say.

Exit codes: 0 nothing blocks; 3 the lock asks for a pin whose gates do not pass.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ._promotion import (
    env_of,
    env_option,
    json_option,
    open_there,
    refusing,
    store_option,
)
from ._text import emit_json, examples

if TYPE_CHECKING:
    from ..promotion import PlannedPin, RoutePlan

__all__ = ["plan"]


@click.command(epilog=examples("llmguard plan", "llmguard plan triage --env prod"))
@click.argument("route", required=False)
@env_option
@store_option
@json_option
def plan(*, route: str | None, env: str | None, url: str | None, as_json: bool) -> None:
    """Show, per route, what a changed `models.lock` would do.

    `+` is new in the lock, `*` is what the lock names active and the ledger does not,
    `!` is quarantined, `-` is gone from the lock. For pins on their way the gates are
    asked; nothing is changed. Exit code 3: the lock asks for a pin whose gates block.
    """
    from ..promotion import plan as make

    with refusing():
        found = make(store=open_there(url), env=env_of(env), route=route)
    if as_json:
        emit_json(asdict(found) | {"blocked": found.blocked})
    else:
        for each in found.routes:
            _print(each, found.env)
        if not found.routes:
            click.echo("the lock has no route: `llmguard pin add ROUTE ...`")
    if found.blocked:
        raise SystemExit(3)


_SIGNS = {"new": "+", "wanted": "*", "quarantined": "!", "gone": "-"}


def _print(route: RoutePlan, env: str) -> None:
    from ..promotion.request import percent

    canary = ""
    if route.canary:
        canary = f", canary {route.canary[0]} at {percent(route.canary[1])}"
    click.echo(f"{route.route} [{env}] r{route.rev}: {route.serves} serves{canary}")
    for note in route.notes:
        click.echo(f"    {note}")
    for each in route.pins:
        _print_pin(each, serves=route.serves)


def _print_pin(one: PlannedPin, *, serves: str) -> None:
    from ..promotion.gates import describe
    from ..promotion.request import target_text

    sign = _SIGNS.get(one.change, " ")
    stage = one.stage or ("active by the lock" if one.pin == serves else "new")
    owner = f"owner {one.owner}" if one.owner else "no owner named"
    click.echo(f"  {sign} {one.pin}  {stage:<12} {one.model or '(gone)'}  {owner}")
    for move in one.moves:
        word = "would pass" if move.ready else "would be blocked"
        click.echo(f"      {target_text(move.to, move.weight)} {word}")
        click.echo(
            "\n".join(f"    {line}" for line in describe(move.gates).split("\n"))
        )
    if one.next:
        click.echo(f"      next: {one.next}")
