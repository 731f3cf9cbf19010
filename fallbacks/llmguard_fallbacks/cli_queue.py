"""`llmguard queue`: the tickets that wait for a person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from llmguard.cli._text import examples
from llmguard.clock import SYSTEM_CLOCK
from llmguard.store import WAITING, TicketRecord, TicketState

from ._cli_group import Group
from .queue import _cli_learn, _cli_people, _cli_upkeep
from .queue import _text as text
from .queue._cli_shared import (
    find_ticket,
    id_argument,
    json_option,
    lease_option,
    look,
    options,
    print_closed,
    print_json,
    queue_option,
    reviewer_option,
    role_option,
    token_option,
    usage,
)
from .queue._fields import assemble, parse_text

__all__ = ["queue"]

_STATES = [str(state) for state in TicketState]


@click.group(
    cls=Group,
    epilog=examples(
        "llmguard queue list --queue triage", "llmguard queue claim --queue triage"
    ),
)
@click.option(
    "--store", metavar="URL", help="Store path or URL; the configured one by default."
)
@click.pass_context
def queue(ctx: click.Context, store: str | None) -> None:
    """Tickets that wait for a person: list, take, answer.

    Exit codes: 0 done; 1 refused, or nothing there; 2 wrong usage.
    """
    ctx.obj = store


@queue.command(
    "list", epilog=examples("llmguard queue list --queue triage --state open")
)
@options(queue_option, json_option)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Only tickets in this state; repeat.",
)
@click.option("--all", "every", is_flag=True, help="Closed tickets too.")
@click.option("--assignee", metavar="NAME", help="Only those kept for NAME.")
@click.option("--holder", metavar="NAME", help="Only those that NAME holds.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="How many."
)
@click.pass_obj
def list_(
    url: str | None,
    *,
    name: str | None,
    assignee: str | None,
    holder: str | None,
    states: Sequence[str],
    every: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show tickets, the next one to take first."""
    store = look(url)
    wanted = {TicketState(state) for state in states} or (
        set(TicketState) if every else set(WAITING)
    )
    records = store.tickets.list(
        queue=name, states=wanted, limit=limit, assignee=assignee, holder=holder
    )
    if as_json:
        print_json([text.as_json(one) for one in records])
    elif records:
        click.echo(text.table(records, SYSTEM_CLOCK.time()))
    else:
        click.echo("no tickets" + (f" in queue {name!r}" if name else ""))


@queue.command(epilog=examples("llmguard queue show 01K7"))
@options(id_argument, reviewer_option, json_option)
@click.pass_obj
def show(url: str | None, *, ticket_id: str, reviewer: str, as_json: bool) -> None:
    """Show one ticket: why it is here, what was asked, how to answer.

    ID may be a part of it (its beginning or end), or the idempotency key.
    """
    store = look(url)
    record = find_ticket(store, ticket_id)
    events = store.tickets.events(record.id)
    if as_json:
        history = [
            {name: getattr(one, name) for name in ("at", "event", "actor", "detail")}
            for one in events
        ]
        print_json({**text.as_json(record, reviewer=reviewer), "events": history})
        return
    click.echo(text.ticket(record, events, SYSTEM_CLOCK.time()))
    mine = record.state is TicketState.CLAIMED and record.claimed_by == reviewer
    if mine or record.state is TicketState.OPEN:
        click.echo(text.next_steps(record, token=record.lease_token if mine else ""))


@queue.command(epilog=examples("llmguard queue claim --queue triage --role billing"))
@options(
    click.argument("ticket_id", metavar="[ID]", required=False),
    queue_option,
    role_option,
    reviewer_option,
    lease_option,
    json_option,
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
    store = look(url)
    if ticket_id is not None:
        ticket_id = find_ticket(store, ticket_id).id
    record = store.tickets.claim(
        reviewer=reviewer, queue=name, ticket_id=ticket_id, roles=roles, lease=lease
    )
    if record is None:
        where = f" in queue {name!r}" if name else ""
        whom = f"the roles {', '.join(roles)}" if roles else "somebody without a role"
        raise click.ClickException(
            f"nothing is open{where} for {whom}; see what waits by "
            "`llmguard queue list`, and name the roles you have by `--role`"
        )
    if as_json:
        print_json(text.as_json(record, reviewer=reviewer))
        return
    click.echo(text.ticket(record, (), SYSTEM_CLOCK.time()))
    click.echo(text.next_steps(record, token=record.lease_token))


@queue.command(
    epilog=examples(
        "llmguard queue answer 01K7 --field category=billing --field priority=high",
        "llmguard queue answer 01K7 --json-file answer.json",
    )
)
@options(id_argument, token_option, role_option, reviewer_option, json_option)
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
        usage("give the answer once: with --field, --value or --json-file")
    store = look(url)
    record = find_ticket(store, ticket_id)
    schema = record.schema or {}
    if value is not None:
        is_text = schema.get("type") == "string"
        given = value if is_text else parse_text(value, schema, schema)
    elif json_file is not None:
        given = _read_json(json_file)
    else:
        given = _assembled(record, fields)
    print_closed(
        store.tickets.answer(
            record.id, given, reviewer=reviewer, token=token, roles=roles
        ),
        as_json=as_json,
    )


@queue.command(epilog=examples("llmguard queue reject 01K7 --reason 'empty message'"))
@options(id_argument, token_option, role_option, reviewer_option, json_option)
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
    store = look(url)
    record = store.tickets.reject(
        find_ticket(store, ticket_id).id,
        reviewer=reviewer,
        reason=reason,
        token=token,
        roles=roles,
    )
    print_closed(record, as_json=as_json)


@queue.command(epilog=examples("llmguard queue release 01K7"))
@options(id_argument, token_option, reviewer_option, json_option)
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
    store = look(url)
    record = store.tickets.release(
        find_ticket(store, ticket_id).id, actor=reviewer, token=token, reason=reason
    )
    print_closed(record, as_json=as_json)


@queue.command(epilog=examples("llmguard queue stats --json"))
@options(queue_option, json_option)
@click.pass_obj
def stats(url: str | None, *, name: str | None, as_json: bool) -> None:
    """Show per queue how many wait, how old, how late, and how fast people are."""
    found = look(url).tickets.stats(name)
    if as_json:
        fields = type(found[0]).__slots__ if found else ()
        print_json([{one: getattr(row, one) for one in fields} for row in found])
    else:
        click.echo(text.stats_table(found) if found else "no tickets yet")


def _assembled(record: TicketRecord, fields: Sequence[str]) -> object:
    try:
        return assemble(record.schema, fields)
    except ValueError as error:
        usage(f"--field: {error}; for example `--field category=billing`")


def _read_json(path: Path) -> object:
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            value: object = json.load(file)
    except (OSError, ValueError) as error:
        usage(f"--json-file {str(path)!r}: {error}")
    return value


for _command in (
    *_cli_people.COMMANDS,
    *_cli_upkeep.COMMANDS,
    *_cli_learn.COMMANDS,
):
    queue.add_command(_command)
