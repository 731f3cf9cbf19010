"""`llmguard quarantine`, `llmguard resume`: not to serve until a person says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ._promotion import (
    env_of,
    env_option,
    json_option,
    open_there,
    print_moved,
    refusing,
    route_and_pin,
    store_option,
    who_options,
)
from ._text import examples

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["quarantine", "resume"]


@click.command(
    epilog=examples("llmguard quarantine p-c2bb020ba1 --reason 'answers in French'")
)
@click.argument("pin")
@who_options
@env_option
@store_option
@json_option
def quarantine(
    *,
    pin: str,
    reason: str,
    actor: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Keep PIN from the traffic; if it serves, roll back.

    No gate and no `--force` promotes it before `llmguard resume`.
    """
    from ..promotion import quarantine as put

    store = open_there(url)
    route, one = _one_pin(store, env_of(env), pin)
    with refusing():
        moved = put(
            store=store,
            route=route,
            pin=one,
            env=env_of(env),
            actor=actor,
            reason=reason,
        )
    print_moved(moved, verb=f"{one} is quarantined", as_json=as_json)


@click.command(
    epilog=examples("llmguard resume p-c2bb020ba1 --reason 'the provider repaired it'")
)
@click.argument("pin")
@who_options
@env_option
@store_option
@json_option
def resume(
    *,
    pin: str,
    reason: str,
    actor: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Lift the quarantine of PIN: it is a candidate, and passes every gate anew.

    Needs a `--reason`, and the approvals that promotion to active needs. Exit code 3:
    they are missing.
    """
    from ..promotion import resume as lift

    store = open_there(url, create=False)
    route, one = _one_pin(store, env_of(env), pin)
    given: dict[str, Any] = {"route": route, "pin": one, "env": env_of(env)}
    with refusing():
        moved = lift(store=store, actor=actor, reason=reason, **given)
    print_moved(moved, verb=f"{one} is a candidate again", as_json=as_json)


def _one_pin(store: Store, env: str, text: str) -> tuple[str, str]:
    route, pin = route_and_pin(store, env, text)
    if not pin:
        raise click.UsageError(
            f"{text!r} is a route; name the pin: `llmguard plan {route}` lists them"
        )
    return route, pin
