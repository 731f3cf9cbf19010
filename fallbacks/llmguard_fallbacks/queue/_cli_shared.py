"""What the commands of `llmguard queue` share: options, looking, printing."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, NoReturn

import click

from llmguard._login import login
from llmguard.cli._options import json_option
from llmguard.cli._text import store_of_group
from llmguard.errors import StoreError
from llmguard.store import LEASE, Store, TicketRecord, TicketState
from llmguard.store import TicketUnknownError as Unknown

from . import _text as text
from ._store import folder_of, opened, replayed

__all__ = [
    "find_ticket",
    "id_argument",
    "json_option",
    "lease_option",
    "look",
    "options",
    "print_closed",
    "print_json",
    "queue_option",
    "reviewer_option",
    "role_option",
    "token_option",
    "usage",
]

_SHORTEST = 4  # characters of an id that are taken for the whole
Command = Callable[..., Any]


def options(*options: Command) -> Callable[[Command], Command]:
    """Add options to a command that takes the store's URL from `pass_obj`."""

    def apply(command: Command) -> Command:
        for option in reversed((*options, store_of_group)):
            command = option(command)
        return command

    return apply


reviewer_option = click.option(
    "--reviewer", default=login, metavar="NAME", help="You, by default $USER."
)
role_option = click.option(
    "--role", "roles", multiple=True, help="A role you have; repeat."
)
token_option = click.option(
    "--token", help="Printed by `claim`; keeps the lease yours."
)
lease_option = click.option(
    "--lease",
    default=LEASE,
    show_default=True,
    type=click.FloatRange(1.0),
    help="Seconds it stays yours.",
)
queue_option = click.option("--queue", "name", metavar="NAME", help="Only this queue.")
id_argument = click.argument("ticket_id", metavar="ID")


def look(url: str | None) -> Store:
    """Open an existing store, and bring in what waits beside it."""
    waiting = folder_of(url).is_dir()
    store = opened(url, create=waiting)
    with contextlib.suppress(StoreError):
        # A full disk must not keep anybody from looking or answering.
        replayed(store)
        store.tickets.sweep()
    return store


def find_ticket(store: Store, part: str) -> TicketRecord:
    try:
        return store.tickets.get(part)
    except Unknown:
        found = store.tickets.find(part) if len(part) >= _SHORTEST else ()
        if len(found) > 1:
            names = ", ".join(found)
            raise click.ClickException(
                f"{part!r} fits several tickets: {names}; give more of the id"
            ) from None
        if not found:
            raise
        return store.tickets.get(found[0])


def usage(message: str) -> NoReturn:
    raise click.UsageError(message)


def print_closed(record: TicketRecord, *, as_json: bool) -> None:
    if as_json:
        print_json(text.as_json(record))
    else:
        if record.opinions and record.state is TicketState.OPEN:
            click.echo(f"noted; it waits for another answer: {record.id}")
            return
        by = f" by {record.closed_by}" if record.closed_by else ""
        click.echo(f"{record.state}{by}: {record.id}")


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))
