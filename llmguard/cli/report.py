"""`llmguard report --weekly`: versions, owners, objectives, tiers, what ends soon."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ._promotion import env_of, env_option, json_option, open_there, store_option
from ._text import age, emit_json, examples

if TYPE_CHECKING:
    from ..promotion.overview import TierLine
    from ..store import Store

__all__ = ["report"]

_WEEK = 7 * 86_400.0


@click.command(epilog=examples("llmguard report --weekly"))
@click.option("--weekly", is_flag=True, help="The last seven days; the only period.")
@env_option
@store_option
@json_option
def report(*, weekly: bool, env: str | None, url: str | None, as_json: bool) -> None:
    """Write the weekly review of all functions and versions, as Markdown."""
    from ..monitor.postmortem import weekly as gather
    from ..monitor.postmortem import weekly_markdown

    if not weekly:
        raise click.UsageError("say `--weekly`: it is the only period there is")
    store = open_there(url, create=False)
    week = gather(store, env_of(env), now=time.time())
    tiers = _tiers(store)
    if as_json:
        lines = [
            {
                "function": one.function,
                "tier": one.tier,
                "pin": one.pin,
                "proven": one.proven,
                "answered": one.answered,
                "fails_at_most": one.bound,
            }
            for one in tiers
        ]
        emit_json({**week.document(), "tiers": lines})
    else:
        click.echo(weekly_markdown(week, [_line(one) for one in tiers]), nl=False)


def _tiers(store: Store) -> list[TierLine]:
    from ..promotion.overview import gather

    return gather(store, window=_WEEK).tiers


def _line(one: TierLine) -> str:
    worth = {True: "proven", False: "UNPROVEN", None: "not tried out"}[one.proven]
    version = f" ({one.pin})" if one.pin else ""
    last = (
        "never answered"
        if one.last_ok is None
        else f"last good answer {age(time.time() - one.last_ok)} ago"
    )
    bound = "" if one.bound is None else f", fails at most {one.bound:.1%}"
    drill = f"; `llmguard drill {one.drill}`" if one.drill and not one.proven else ""
    return (
        f"{one.function} {one.tier}{version}: {worth}, {one.answered} answers in the "
        f"week, {last}{bound}{drill if one.proven is False else ''}"
    )
