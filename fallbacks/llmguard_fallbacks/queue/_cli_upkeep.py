"""`llmguard queue purge`, `callbacks`, `watch`: what is kept, sent, and happening."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Final

import click

from llmguard.cli._text import counted, examples
from llmguard.clock import SYSTEM_CLOCK
from llmguard.store import Store, TicketEvent

from . import _text as text
from ._cli_shared import (
    json_option,
    look,
    options,
    print_json,
    queue_option,
    reviewer_option,
)

__all__ = ["COMMANDS", "seconds_of"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_BATCH: Final = 500
_LOOK: Final = 0.5
_BEFORE: Final = 200


def seconds_of(text: str) -> float:
    """Return a length of time, such as `30d` or `12h`, in seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no length of time, such as 30d or 12h")
    return float(found[1]) * _UNITS[found[2]]


@click.command(epilog=examples("llmguard queue purge --older-than 90d"))
@options(reviewer_option, json_option)
@click.option(
    "--older-than",
    required=True,
    type=seconds_of,
    metavar="SPAN",
    help="Closed at least so long ago, such as 90d.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def purge(
    url: str | None, *, older_than: float, yes: bool, reviewer: str, as_json: bool
) -> None:
    """Delete what closed tickets hold: inputs, proposals, answers, reasons.

    Ids, states, times, names and digests stay, and so do accepted cases. Backups
    have their own age.
    """
    store = look(url)
    if not yes:
        span = text.span(older_than)
        click.confirm(
            f"Delete the content of tickets closed more than {span} ago, for ever?",
            abort=True,
            err=True,
        )
    before = SYSTEM_CLOCK.time() - older_than
    gone = 0
    while done := store.tickets.purge(
        closed_before=before, actor=reviewer, limit=_BATCH
    ):
        gone += done
    if as_json:
        print_json({"purged": gone})
    else:
        click.echo(f"{counted(gone, 'ticket')} purged")


@click.command(epilog=examples("llmguard queue callbacks --send"))
@options(json_option)
@click.option("--send", is_flag=True, help="Send what is due now.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="How many."
)
@click.pass_obj
def callbacks(url: str | None, *, send: bool, limit: int, as_json: bool) -> None:
    """Show callbacks that wait or were given up; `--send` sends those that are due.

    Needs LLMGUARD_CALLBACK_SECRET to send. `llmguard queue revive` starts given up
    ones anew.
    """
    store = look(url)
    if send:
        from ._callbacks import CallbackSender

        done = CallbackSender(store).run()
        if as_json:
            print_json(dataclasses.asdict(done))
        else:
            click.echo(f"{done.sent} sent, {done.failed} failed, {done.dead} given up")
        return
    rows = store.callbacks.list(limit=limit)
    if as_json:
        hidden = {"lease_token"}
        print_json(
            [
                {k: v for k, v in dataclasses.asdict(one).items() if k not in hidden}
                for one in rows
            ]
        )
        return
    for one in rows:
        result = text.safe(one.result) or "not tried yet"
        click.echo(f"{one.ticket_id}  {one.state}  {text.safe(one.url)}  {result}")
    if not rows:
        click.echo("no callbacks wait")


@click.command(epilog=examples("llmguard queue watch --queue triage"))
@options(queue_option, json_option)
@click.option("--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--after", type=click.IntRange(0), help="Begin behind this event.")
@click.pass_obj
def watch(
    url: str | None,
    *,
    name: str | None,
    count: int | None,
    after: int | None,
    as_json: bool,
) -> None:
    """Print what happens to tickets as it happens, until interrupted."""
    store = look(url)
    start = last = store.tickets.last_seq() if after is None else after
    told: set[int] = set()
    version: int | None = None
    while True:
        now = store.version()
        if now == version:
            SYSTEM_CLOCK.sleep(_LOOK)
            _sweep(store)
            continue
        version = now
        while found := [
            one
            for one in store.tickets.tail(max(start, last - _BEFORE), limit=_BATCH)
            if one.seq not in told
        ]:
            for one in found:
                last = max(last, one.seq)
                told.add(one.seq)
                if name is not None and store.tickets.get(one.ticket_id).queue != name:
                    continue
                _tell(one, as_json=as_json)
                if count is not None:
                    count -= 1
                    if not count:
                        return
        told = {seq for seq in told if seq > last - 2 * _BATCH}
        _sweep(store)


def _sweep(store: Store) -> None:
    # Leases end without anybody's commit; whoever watches wants to see it.
    store.tickets.sweep()


def _tell(one: TicketEvent, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(one)))
    else:
        detail = f", {text.safe(one.detail)}" if one.detail else ""
        click.echo(
            f"{one.seq}  {text.clock(one.at)}  {one.ticket_id}  {one.event} by "
            f"{text.safe(one.actor)}{detail}"
        )


COMMANDS = (purge, callbacks, watch)
