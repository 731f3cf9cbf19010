"""The commands that say who may come in, and what was done."""

from __future__ import annotations

import dataclasses
import getpass
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import click

from llmguard.cli._options import json_option
from llmguard.cli._text import examples, store_of_group
from llmguard.clock import SYSTEM_CLOCK
from llmguard.store import Store, new_id, open_store
from llmguard.store.access import (
    SCOPES,
    AccessSession,
    AccessToken,
    AccessUser,
    AuditRow,
    NewAudit,
    secret_digest,
)

from ..queue._text import safe
from ._format import ago, stamp

__all__ = ["audit", "purge", "sessions", "token", "user"]

_DAY = 86400.0
_PREFIX = "llmguard_"
_Command = Callable[..., Any]


def _scope(help_: str) -> Callable[[_Command], _Command]:
    kind = click.Choice(SCOPES)
    return click.option("--scope", "scopes", multiple=True, type=kind, help=help_)


_role = click.option(
    "--role", "roles", multiple=True, help="A queue role, or `*` for all; repeat."
)


@click.group(
    epilog=examples("llmguard console user add ada --scope review --role billing")
)
def user() -> None:
    """People and programs that may come in."""


@user.command(
    "add",
    epilog=examples("llmguard console user add ada --scope review --role billing"),
)
@click.argument("name")
@_scope("What they may do; repeat. `read` and `review` by default.")
@_role
@json_option
@store_of_group
@click.pass_obj
def add_user(
    url: str | None,
    *,
    name: str,
    scopes: Sequence[str],
    roles: Sequence[str],
    as_json: bool,
) -> None:
    """Add a user, or set anew what one may do (also one that was disabled)."""
    if not name.strip() or name != name.strip() or len(name) > 200:  # noqa: PLR2004 - a name
        raise click.UsageError(f"NAME is {name!r}; give 1 to 200 characters")
    store = open_store(url)
    made = store.access.put_user(
        AccessUser(
            name=name,
            scopes=tuple(dict.fromkeys(scopes)) or ("read", "review"),
            roles=tuple(dict.fromkeys(roles)),
            created_by=getpass.getuser(),
        )
    )
    _put(store, made, as_json=as_json)
    if not as_json:
        _say(f"Next: `llmguard console token add {name}`")


def _known(store: Store, name: str) -> AccessUser:
    found = store.access.get_user(name)
    if found is None or found.disabled_at is not None:
        raise click.ClickException(
            f"no user {name!r} may come in; `llmguard console user add {name}` first"
        )
    return found


def _put(store: Store, made: AccessUser, *, as_json: bool) -> None:
    _note(store, "user.put", made.name, f"scopes {' '.join(made.scopes)}")
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(made), indent=2))
    else:
        _say(f"{made.name}: {_scopes(made.scopes)}; {_roles(made.roles)}")


@user.command(
    "grant", epilog=examples("llmguard console user grant ada --scope approve")
)
@click.argument("name")
@_scope("One; repeat.")
@_role
@json_option
@store_of_group
@click.pass_obj
def grant_user(
    url: str | None,
    *,
    name: str,
    scopes: Sequence[str],
    roles: Sequence[str],
    as_json: bool,
) -> None:
    """Give a user more scopes or roles, and take none away."""
    if not scopes and not roles:
        raise click.UsageError("say what to give: --scope or --role")
    store = open_store(url, create=False)
    known = _known(store, name)
    all_scopes = tuple(dict.fromkeys((*known.scopes, *scopes)))
    all_roles = tuple(dict.fromkeys((*known.roles, *roles)))
    more = dataclasses.replace(known, scopes=all_scopes, roles=all_roles)
    made = store.access.put_user(more)
    _put(store, made, as_json=as_json)


@user.command("list", epilog=examples("llmguard console user list --json"))
@json_option
@store_of_group
@click.pass_obj
def list_users(url: str | None, *, as_json: bool) -> None:
    """Show users, their scopes and roles."""
    found = open_store(url, create=False).access.list_users()
    if as_json:
        _print(*found)
        return
    for one in found:
        gone = f"  disabled {stamp(one.disabled_at)}" if one.disabled_at else ""
        _say(f"{one.name}  {_scopes(one.scopes)}; {_roles(one.roles)}{gone}")
    if not found:
        click.echo("no users yet: `llmguard console user add NAME`")


@user.command("revoke", epilog=examples("llmguard console user revoke ada"))
@click.argument("name")
@json_option
@store_of_group
@click.pass_obj
def revoke_user(url: str | None, *, name: str, as_json: bool) -> None:
    """Keep a user out: sessions end, tokens open nothing, at once and everywhere."""
    store = open_store(url, create=False)
    if not store.access.disable_user(name):
        raise click.ClickException(
            f"no user {name!r}; `llmguard console user list` shows them"
        )
    _note(store, "user.disabled", name)
    click.echo(json.dumps({"disabled": name}) if as_json else f"disabled: {name}")


@click.group(epilog=examples("llmguard console token add ada --scope review"))
def token() -> None:
    """Secrets to log in with, and for programs (`Authorization: Bearer ...`)."""


@token.command(
    "add",
    epilog=examples(
        "llmguard console token add ada --scope review --days 30",
        "llmguard console token add ci --scope read --label pipeline",
    ),
)
@click.argument("name")
@_scope("Only these of the user's scopes; repeat. All by default.")
@click.option("--label", default="", help="What it is for.")
@click.option(
    "--days", type=click.FloatRange(0.001), help="It ends after so many days."
)
@json_option
@store_of_group
@click.pass_obj
def add_token(
    url: str | None,
    *,
    name: str,
    scopes: Sequence[str],
    label: str,
    days: float | None,
    as_json: bool,
) -> None:
    """Make a token for a user. It is printed once; only its digest is kept."""
    store = open_store(url, create=False)
    owner = _known(store, name)
    now = SYSTEM_CLOCK.time()
    secret = _PREFIX + secrets.token_urlsafe(32)
    made = store.access.add_token(
        AccessToken(
            id=new_id(now),
            user=name,
            scopes=tuple(dict.fromkeys(scopes)) or owner.scopes,
            label=label,
            created_by=getpass.getuser(),
            expires_at=None if days is None else now + days * _DAY,
        ),
        secret_digest(secret),
    )
    _note(store, "token.added", made.id, f"for {name}: {_scopes(made.scopes)}")
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(made), "token": secret}, indent=2))
        return
    click.echo(secret)
    click.echo(f"Shown once. Revoke it: `llmguard console token revoke {made.id}`")


@token.command("list", epilog=examples("llmguard console token list --user ada"))
@click.option("--user", "name", help="Only this user's.")
@json_option
@store_of_group
@click.pass_obj
def list_tokens(url: str | None, *, name: str | None, as_json: bool) -> None:
    """Show tokens, without their secrets."""
    found = open_store(url, create=False).access.list_tokens(name)
    if as_json:
        _print(*found)
        return
    now = SYSTEM_CLOCK.time()
    for one in found:
        ends = (
            f"revoked {stamp(one.revoked_at)}"
            if one.revoked_at
            else f"ends {stamp(one.expires_at)}"
            if one.expires_at
            else "no end"
        )
        used = f"used {ago(one.used_at, now)}" if one.used_at else "never used"
        label = f"  {one.label}" if one.label else ""
        click.echo(
            f"{one.id}  {one.user}  {_scopes(one.scopes)}  {used}, {ends}{label}"
        )
    if not found:
        click.echo("no tokens yet: `llmguard console token add NAME`")


@token.command("revoke", epilog=examples("llmguard console token revoke t-4f0c2a"))
@click.argument("token_id", metavar="ID")
@json_option
@store_of_group
@click.pass_obj
def revoke_token(url: str | None, *, token_id: str, as_json: bool) -> None:
    """End a token and the sessions that were opened with it."""
    store = open_store(url, create=False)
    if not store.access.revoke_token(token_id):
        raise click.ClickException(
            f"no token {token_id!r} that still holds; `llmguard console token list`"
        )
    _note(store, "token.revoked", token_id)
    click.echo(json.dumps({"revoked": token_id}) if as_json else f"revoked: {token_id}")


@click.command(epilog=examples("llmguard console sessions --json"))
@json_option
@store_of_group
@click.pass_obj
def sessions(url: str | None, *, as_json: bool) -> None:
    """Show who is logged in."""
    found = open_store(url, create=False).access.list_sessions(idle=_DAY)
    if as_json:
        _print(*found)
        return
    now = SYSTEM_CLOCK.time()
    for one in found:
        place = f" from {one.address}" if one.address else ""
        _say(f"{one.user}  by {one.via}{place}, seen {ago(one.seen_at, now)}")
    if not found:
        click.echo("nobody is logged in")


@click.command(epilog=examples("llmguard console audit --days 7 --outcome refused"))
@click.option("--actor", help="Only this user's.")
@click.option("--action", help="Only this, or all below it: `login.`, `ticket.`.")
@click.option("--target", help="Only on this ticket, user or path.")
@click.option(
    "--outcome",
    type=click.Choice(["ok", "refused", "failed"]),
    help="Only rows that ended so.",
)
@click.option("--days", type=click.FloatRange(0.0), help="Of the last days only.")
@click.option(
    "--limit",
    default=50,
    show_default=True,
    type=click.IntRange(1),
    help="How many rows.",
)
@json_option
@store_of_group
@click.pass_obj
def audit(
    url: str | None,
    *,
    actor: str | None,
    action: str | None,
    target: str | None,
    outcome: str | None,
    days: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who saw, took, answered what, who logged in, and what was refused."""
    found = open_store(url, create=False).access.audited(
        actor=actor,
        action=action,
        target=target,
        outcome=outcome,
        since=None if days is None else SYSTEM_CLOCK.time() - days * _DAY,
        limit=limit,
    )
    if as_json:
        _print(*found)
        return
    for one in found:
        went = "" if one.outcome == "ok" else f" {one.outcome.upper()}"
        parts = (one.action + went, one.target, one.detail, one.address)
        text = "  ".join(part for part in parts if part)
        _say(f"{stamp(one.at)}  {one.actor or '-'}  {text}")
    if not found:
        click.echo("nothing recorded")


@click.command(epilog=examples("llmguard console purge --audit-days 90"))
@click.option(
    "--audit-days",
    default=365.0,
    show_default=True,
    type=click.FloatRange(0.0),
    help="Rows of the audit older than this go.",
)
@click.option(
    "--session-days",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0.0),
    help="Sessions that ended earlier go.",
)
@json_option
@store_of_group
@click.pass_obj
def purge(
    url: str | None, *, audit_days: float, session_days: float, as_json: bool
) -> None:
    """Delete what is older: rows of the audit, sessions that ended."""
    store = open_store(url, create=False)
    now = SYSTEM_CLOCK.time()
    rows, ended = store.access.purge(
        audit_before=now - audit_days * _DAY, sessions_before=now - session_days * _DAY
    )
    _note(store, "audit.purged", "", f"{rows} rows older than {audit_days:g} days")
    if as_json:
        click.echo(json.dumps({"audit": rows, "sessions": ended}))
    else:
        click.echo(f"deleted {rows} rows of the audit and {ended} ended sessions")


def _note(store: Store, action: str, target: str, detail: str = "") -> None:
    store.access.audit(
        NewAudit(actor=getpass.getuser(), action=action, target=target, detail=detail)
    )


def _say(text: str) -> None:
    # Names and paths come from outside, and must not command the terminal.
    click.echo(safe(text))


def _scopes(scopes: Sequence[str]) -> str:
    return " ".join(scopes) or "no scopes"


def _roles(roles: Sequence[str]) -> str:
    if "*" in roles:
        return "every role"
    return f"roles {' '.join(roles)}" if roles else "no roles"


def _print(*found: AccessUser | AccessToken | AccessSession | AuditRow) -> None:
    click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
