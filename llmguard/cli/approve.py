"""`llmguard approve`: sign one exact move with an SSH key.

Exit codes: 0 signed; 1 it would not count, or could not be signed; 4 the lock is stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._promotion import (
    Weight,
    env_of,
    env_option,
    json_option,
    maybe_lock,
    moment,
    open_there,
    pin_and_route,
    refusing,
    store_option,
)
from ._text import emit_json, examples

if TYPE_CHECKING:
    from ..promotion import Given

__all__ = ["approve"]


@click.command(
    epilog=examples(
        "llmguard approve p-c2bb020ba1 --to canary --weight 5%",
        "llmguard approve triage --to active --key ~/.ssh/id_ed25519",
    )
)
@click.argument("target", metavar="PIN|ROUTE|FILE")
@click.option(
    "--to",
    type=click.Choice(["shadow", "canary", "active", "resume"]),
    default="active",
    show_default=True,
    help="Stage; resume for lifting a quarantine.",
)
@click.option("--weight", type=Weight(), help="Share of a canary.")
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="SSH key; git's user.signingkey, else ~/.ssh/id_ed25519.",
)
@click.option("--as", "approver", default="", help="Your name among allowed signers.")
@click.option("--no-file", is_flag=True, help="Only into the store.")
@click.option("--no-store", is_flag=True, help="Only a file; FILE is a request.")
@env_option
@store_option
@json_option
def approve(
    *,
    target: str,
    to: str,
    weight: int | None,
    key: Path | None,
    approver: str,
    no_file: bool,
    no_store: bool,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Approve one move of a pin, and nothing else.

    Signed are environment, route, pin, the evidence, the stage, the share and the
    revision that the route is at: any change voids it. FILE is a request that `llmguard
    promote --request FILE` wrote; it can be approved without the store. The approval is
    written to a small file under `approvals/`, for review and commit, and to the store.
    """
    from ..promotion import approve as give

    given: dict[str, Any] = {"key": key, "approver": approver, "write": not no_file}
    if Path(target).is_file():
        store = None if no_store else open_there(url)
        given |= {"statement": Path(target), "store": store}
    elif no_store:
        raise click.UsageError("`--no-store` takes a request file")
    else:
        store = open_there(url)
        route, pin = pin_and_route(store, env_of(env), target)
        if to == "canary" and weight is None:
            weight = 500
        given |= {"store": store, "route": route, "pin": pin, "to": to}
        given |= {"weight": weight, "env": env_of(env)}
    with refusing():
        done = give(**given)
    _show(done, as_json=as_json)


def _show(done: Given, *, as_json: bool) -> None:
    body = done.approval.body
    if as_json:
        path = str(done.path) if done.path else None
        emit_json({**body, "file": path, "stored": done.digest, "key": done.key})
        return
    from ..promotion.gates import describe
    from ..promotion.request import target_text

    lock = maybe_lock()
    one = lock.pins.get(str(body["pin"])) if lock else None
    if done.gates:
        click.echo(describe(done.gates))
    about = f" ({one.model}, owner {one.owner or 'nobody named'})" if one else ""
    target = target_text(str(body["to"]), body["weight"])
    click.echo(
        f"{body['approver']} approves {body['pin']}{about} {target} on route "
        f"{body['route']!r} of {body['env']!r} at revision {body['base_rev']}"
    )
    click.echo(f"  key {done.key}, until {moment(float(body['expires']))}")
    for text in (
        done.path and f"wrote {done.path}",
        done.digest and "kept in the store",
    ):
        if text:
            click.echo(f"  {text}")
