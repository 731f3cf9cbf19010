"""`llmguard queue renew`, `skip`, `assign`, `steal`, `revive`: tickets among people."""

from __future__ import annotations

from collections.abc import Sequence

import click

from llmguard.cli._text import examples
from llmguard.clock import SYSTEM_CLOCK

from . import _text as text
from ._cli_shared import (
    find_ticket,
    id_argument,
    json_option,
    lease_option,
    look,
    options,
    print_closed,
    print_json,
    reviewer_option,
    role_option,
    token_option,
)

__all__ = ["COMMANDS"]


@click.command(epilog=examples("llmguard queue renew 01K7 --token 4f0c2a --lease 600"))
@options(id_argument, lease_option, json_option)
@click.option("--token", required=True, help="Printed by `claim`.")
@click.pass_obj
def renew(
    url: str | None, *, ticket_id: str, token: str, lease: float, as_json: bool
) -> None:
    """Keep a ticket longer."""
    store = look(url)
    record = find_ticket(store, ticket_id)
    until = store.tickets.extend(record.id, token, lease=lease)
    if as_json:
        print_json({"id": record.id, "lease_until": until})
    else:
        left = text.span(until - SYSTEM_CLOCK.time())
        click.echo(f"yours for {left}: {record.id}")


@click.command(epilog=examples("llmguard queue skip 01K7 --reason 'needs a lawyer'"))
@options(id_argument, token_option, role_option, reviewer_option, json_option)
@click.option("--reason", required=True, help="Why you pass it over.")
@click.pass_obj
def skip(
    url: str | None,
    *,
    ticket_id: str,
    token: str | None,
    roles: Sequence[str],
    reviewer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Pass a ticket over: it comes back to you last, to others in its turn."""
    store = look(url)
    record = store.tickets.skip(
        find_ticket(store, ticket_id).id,
        reviewer=reviewer,
        reason=reason,
        token=token,
        roles=roles,
    )
    print_closed(record, as_json=as_json)


@click.command(epilog=examples("llmguard queue assign 01K7 --to ada"))
@options(id_argument, reviewer_option, json_option)
@click.option("--to", required=True, metavar="NAME", help="Who; empty for anybody.")
@click.option("--reason", default="", help="Why, for the record.")
@click.pass_obj
def assign(
    url: str | None,
    *,
    ticket_id: str,
    to: str,
    reviewer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Keep a waiting ticket for one person."""
    store = look(url)
    record = store.tickets.assign(
        find_ticket(store, ticket_id).id, to=to, actor=reviewer, reason=reason
    )
    if as_json:
        print_json(text.as_json(record))
    else:
        click.echo(f"kept for {to or 'anybody'}: {record.id}")


@click.command(epilog=examples("llmguard queue steal 01K7 --reason 'ada is on leave'"))
@options(id_argument, lease_option, role_option, reviewer_option, json_option)
@click.option("--reason", required=True, help="Why; its holder reads it.")
@click.pass_obj
def steal(
    url: str | None,
    *,
    ticket_id: str,
    lease: float,
    roles: Sequence[str],
    reviewer: str,
    reason: str,
    as_json: bool,
) -> None:
    """Take a ticket from whoever holds it, or has it assigned."""
    store = look(url)
    record = store.tickets.steal(
        find_ticket(store, ticket_id).id,
        reviewer=reviewer,
        reason=reason,
        roles=roles,
        lease=lease,
    )
    if as_json:
        print_json(text.as_json(record, reviewer=reviewer))
        return
    click.echo(text.ticket(record, (), SYSTEM_CLOCK.time()))
    click.echo(text.next_steps(record, token=record.lease_token))


@click.command(
    epilog=examples("llmguard queue revive 01K7 --reason 'the receiver is back'")
)
@options(id_argument, reviewer_option, json_option)
@click.option("--reason", required=True, help="What was repaired.")
@click.pass_obj
def revive(
    url: str | None, *, ticket_id: str, reviewer: str, reason: str, as_json: bool
) -> None:
    """Open a dead or expired ticket again; of others, send dead callbacks again."""
    store = look(url)
    record = store.tickets.revive(
        find_ticket(store, ticket_id).id, actor=reviewer, reason=reason
    )
    print_closed(record, as_json=as_json)


COMMANDS = (renew, skip, assign, steal, revive)
