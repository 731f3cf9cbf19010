"""`llmguard queue`: the tickets that wait for a person."""

from __future__ import annotations

import contextlib
import getpass
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from llmguard.clock import SYSTEM_CLOCK
from llmguard.errors import ConfigError, LLMGuardError, StoreError
from llmguard.store import LEASE, WAITING, Store, TicketRecord, TicketState
from llmguard.store import TicketUnknownError as Unknown

from .queue import _text as text
from .queue._fields import assemble, parse_text
from .queue._store import folder_of, opened, replayed

__all__ = ["queue"]

_SHORTEST = 4  # characters of an id that are taken for the whole
_STATES = [str(state) for state in TicketState]
Command = Callable[..., Any]


class _Group(click.Group):
    """Turns our errors into one line and an exit code: 1 refused, 2 usage."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.UsageError(str(error), ctx) from error
        except LLMGuardError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
@click.option("--store", metavar="URL", help="Path or URL of the store.")
@click.pass_context
def queue(ctx: click.Context, store: str | None) -> None:
    """Tickets that wait for a person: list, take, answer.

    Exit codes: 0 done; 1 refused, or nothing there; 2 wrong usage.
    """
    ctx.obj = store


def _options(*options: Command) -> Callable[[Command], Command]:
    def apply(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return apply


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_reviewer = click.option(
    "--reviewer", default=getpass.getuser, metavar="NAME", help="You, by default $USER."
)
_role = click.option("--role", "roles", multiple=True, help="A role you have; repeat.")
_token = click.option("--token", help="Printed by `claim`; keeps the lease yours.")
_queue = click.option("--queue", "name", metavar="NAME", help="Only this queue.")
_id = click.argument("ticket_id", metavar="ID")


@queue.command("list")
@_options(_queue, _json)
@click.option("--state", "states", multiple=True, type=click.Choice(_STATES))
@click.option("--all", "every", is_flag=True, help="Closed tickets too.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1))
@click.pass_obj
def list_(
    url: str | None,
    *,
    name: str | None,
    states: Sequence[str],
    every: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show tickets, the next one to take first."""
    store = _look(url)
    wanted = {TicketState(state) for state in states} or (
        set(TicketState) if every else set(WAITING)
    )
    records = store.tickets.list(queue=name, states=wanted, limit=limit)
    if as_json:
        _print_json([text.as_json(one) for one in records])
    elif records:
        click.echo(text.table(records, SYSTEM_CLOCK.time()))
    else:
        click.echo("no tickets" + (f" in queue {name!r}" if name else ""))


@queue.command()
@_options(_id, _reviewer, _json)
@click.pass_obj
def show(url: str | None, *, ticket_id: str, reviewer: str, as_json: bool) -> None:
    """Show one ticket: why it is here, what was asked, how to answer.

    ID may be a part of it (its beginning or end), or the idempotency key.
    """
    store = _look(url)
    record = _find(store, ticket_id)
    events = store.tickets.events(record.id)
    if as_json:
        history = [
            {name: getattr(one, name) for name in ("at", "event", "actor", "detail")}
            for one in events
        ]
        _print_json({**text.as_json(record, reviewer=reviewer), "events": history})
        return
    click.echo(text.ticket(record, events, SYSTEM_CLOCK.time()))
    mine = record.state is TicketState.CLAIMED and record.claimed_by == reviewer
    if mine or record.state is TicketState.OPEN:
        click.echo(text.next_steps(record, token=record.lease_token if mine else ""))


@queue.command()
@_options(
    click.argument("ticket_id", metavar="[ID]", required=False),
    _queue,
    _role,
    _reviewer,
    _json,
)
@click.option(
    "--lease",
    default=LEASE,
    show_default=True,
    type=click.FloatRange(1.0),
    help="Seconds it stays yours.",
)
@click.pass_obj
def claim(
    url: str | None,
    *,
    ticket_id: str | None,
    name: str | None,
    roles: Sequence[str],
    reviewer: str,
    lease: float,
    as_json: bool,
) -> None:
    """Take the next ticket, or the one given, so that nobody else does."""
    store = _look(url)
    if ticket_id is not None:
        ticket_id = _find(store, ticket_id).id
    record = store.tickets.claim(
        reviewer=reviewer, queue=name, ticket_id=ticket_id, roles=roles, lease=lease
    )
    if record is None:
        where = f" in queue {name!r}" if name else ""
        raise click.ClickException(f"nothing is open{where} for your roles")
    if as_json:
        _print_json(text.as_json(record, reviewer=reviewer))
        return
    click.echo(text.ticket(record, (), SYSTEM_CLOCK.time()))
    click.echo(text.next_steps(record, token=record.lease_token))


@queue.command()
@_options(_id, _token, _role, _reviewer, _json)
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=VALUE", help="One field; repeat."
)
@click.option("--value", help="The whole answer: JSON, or text for a text contract.")
@click.option(
    "--json-file", type=click.Path(path_type=Path), help="A file; - is stdin."
)
@click.pass_obj
def answer(
    url: str | None,
    *,
    ticket_id: str,
    token: str | None,
    roles: Sequence[str],
    reviewer: str,
    fields: Sequence[str],
    value: str | None,
    json_file: Path | None,
    as_json: bool,
) -> None:
    """Answer a ticket; without --token it is claimed for you on the way.

    The answer is checked against the contract's schema, and refused field by field.
    """
    if sum((bool(fields), value is not None, json_file is not None)) != 1:
        _usage("give the answer once: with --field, --value or --json-file")
    store = _look(url)
    record = _find(store, ticket_id)
    schema = record.schema or {}
    if value is not None:
        is_text = schema.get("type") == "string"
        given = value if is_text else parse_text(value, schema, schema)
    elif json_file is not None:
        given = _read_json(json_file)
    else:
        given = _assembled(record, fields)
    _closed(
        store.tickets.answer(
            record.id, given, reviewer=reviewer, token=token, roles=roles
        ),
        as_json=as_json,
    )


@queue.command()
@_options(_id, _token, _role, _reviewer, _json)
@click.option("--reason", required=True, help="Why nobody can answer it.")
@click.pass_obj
def reject(
    url: str | None,
    *,
    ticket_id: str,
    token: str | None,
    roles: Sequence[str],
    reviewer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Close a ticket without an answer; its caller is told the reason."""
    store = _look(url)
    record = store.tickets.reject(
        _find(store, ticket_id).id,
        reviewer=reviewer,
        reason=reason,
        token=token,
        roles=roles,
    )
    _closed(record, as_json=as_json)


@queue.command()
@_options(_id, _token, _reviewer, _json)
@click.option("--reason", default="", help="Needed to take it from somebody else.")
@click.pass_obj
def release(
    url: str | None,
    *,
    ticket_id: str,
    token: str | None,
    reviewer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Put a claimed ticket back, so that somebody else can take it."""
    store = _look(url)
    record = store.tickets.release(
        _find(store, ticket_id).id, actor=reviewer, token=token, reason=reason
    )
    _closed(record, as_json=as_json)


@queue.command()
@_options(_queue, _json)
@click.pass_obj
def stats(url: str | None, *, name: str | None, as_json: bool) -> None:
    """Show per queue how many wait, how old, how late, and how fast people are."""
    found = _look(url).tickets.stats(name)
    if as_json:
        fields = type(found[0]).__slots__ if found else ()
        _print_json([{one: getattr(row, one) for one in fields} for row in found])
    else:
        click.echo(text.stats_table(found) if found else "no tickets yet")


def _look(url: str | None) -> Store:
    """Open an existing store, and bring in what waits beside it."""
    waiting = folder_of(url).is_dir()
    store = opened(url, create=waiting)
    with contextlib.suppress(StoreError):
        # A full disk must not keep anybody from looking or answering.
        replayed(store)
        store.tickets.sweep()
    return store


def _find(store: Store, part: str) -> TicketRecord:
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


def _assembled(record: TicketRecord, fields: Sequence[str]) -> object:
    try:
        return assemble(record.schema, fields)
    except ValueError as error:
        _usage(f"--field: {error}; for example `--field category=billing`")


def _read_json(path: Path) -> object:
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            value: object = json.load(file)
    except (OSError, ValueError) as error:
        _usage(f"--json-file {str(path)!r}: {error}")
    return value


def _usage(message: str) -> NoReturn:
    raise click.UsageError(message)


def _closed(record: TicketRecord, *, as_json: bool) -> None:
    if as_json:
        _print_json(text.as_json(record))
    else:
        by = f" by {record.closed_by}" if record.closed_by else ""
        click.echo(f"{record.state}{by}: {record.id}")


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))
