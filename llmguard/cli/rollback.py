"""`llmguard rollback`: the last good version answers again; no approval, no gate.

Exit codes: 0 done, or somebody did it already; 1 there is nowhere to go back to.
"""

from __future__ import annotations

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
from ._wait import Span, wait_for

__all__ = ["rollback"]


@click.command(epilog=examples("llmguard rollback triage --reason 'answers in French'"))
@click.argument("target", metavar="ROUTE|PIN|FUNCTION")
@click.option(
    "--wait",
    type=Span(),
    is_flag=False,
    flag_value="10s",
    help="Until every live process has applied it; 10s.",
)
@who_options
@env_option
@store_option
@json_option
def rollback(
    *,
    target: str,
    wait: float | None,
    reason: str,
    actor: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Take the newest version of a route out of the traffic, at once.

    A canary is taken out first and the active version stays; without one, the active
    version gives way to the last good one. What was taken out is quarantined until
    somebody resumes it. Every process follows within a second. Given a PIN, only that
    one is taken out, and nothing is done when it serves no more.
    """
    from ..promotion import rollback as back

    store = open_there(url, create=False)
    route, pin = route_and_pin(store, env_of(env), target)
    with refusing():
        moved = back(
            store=store,
            route=route,
            pin=pin,
            env=env_of(env),
            actor=actor,
            reason=reason,
        )
    there, late = True, ""
    if wait is not None:
        there, late = wait_for(store, env=moved.env, rev=moved.rev, seconds=wait)
    print_moved(moved, verb=f"{moved.pin} is out", as_json=as_json, more=late)
    if not there:
        raise SystemExit(1)
