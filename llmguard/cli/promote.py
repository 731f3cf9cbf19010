"""`llmguard promote`: give a pin traffic, if every gate passes.

Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 a gate did not pass; 4 the
lock is stale.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._promotion import (
    Weight,
    env_of,
    env_option,
    json_option,
    open_there,
    pin_and_route,
    print_moved,
    refusing,
    store_option,
    who_options,
)
from ._text import emit_json, examples
from ._wait import Span, wait_for

if TYPE_CHECKING:
    from ..promotion import GatesNotPassedError

__all__ = ["promote"]

_FIRST = 500


@click.command(
    epilog=examples(
        "llmguard promote p-c2bb020ba1 --to canary --weight 5%",
        "llmguard promote triage --to active --wait",
    )
)
@click.argument("target", metavar="PIN|ROUTE")
@click.option(
    "--to",
    type=click.Choice(["shadow", "canary", "active"]),
    default="active",
    show_default=True,
    help="Stage.",
)
@click.option("--weight", type=Weight(), help="Share of the calls of a canary; 5%.")
@click.option("--force", metavar="REASON", default="", help="Go past gates that allow.")
@click.option(
    "--wait",
    type=Span(),
    is_flag=False,
    flag_value="10s",
    help="Until every live process has applied it; 10s.",
)
@click.option(
    "--request",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write here what others are asked to approve; moves nothing.",
)
@click.option("--base-rev", type=int, help="Refuse when the route is elsewhere by now.")
@who_options
@env_option
@store_option
@json_option
def promote(
    *,
    target: str,
    to: str,
    weight: int | None,
    force: str,
    wait: float | None,
    file: Path | None,
    base_rev: int | None,
    reason: str,
    actor: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Move a pin to a stage of its route, if every gate of that stage passes.

    A ROUTE stands for its canary, else for the pin that waits there. Gates are those of
    `[tool.llmguard.gates]`; one that cannot decide blocks, and prints the command that
    would let it. `--request FILE` writes what others are asked to approve, and moves
    nothing. Exit code 3: a gate did not pass.
    """
    from ..promotion import GatesNotPassedError
    from ..promotion import promote as move

    store = open_there(url)
    route, pin = pin_and_route(store, env_of(env), target)
    if to == "canary" and weight is None:
        weight = _FIRST
    given: dict[str, Any] = {"route": route, "pin": pin, "to": to, "weight": weight}
    given |= {"store": store, "env": env_of(env), "actor": actor}
    if file is not None:
        _ask(file, as_json=as_json, **given)
        return
    with refusing():
        try:
            moved = move(**given, reason=reason, force=force, base_rev=base_rev)
        except GatesNotPassedError as error:
            if as_json:
                _emit_gates(error)
            raise
    word = f"{pin} is {to}" if to != "canary" else f"{pin} is the canary"
    there, late = True, ""
    if wait is not None:
        there, late = wait_for(store, env=moved.env, rev=moved.rev, seconds=wait)
    print_moved(moved, verb=word, as_json=as_json, more=late)
    if not there:
        raise SystemExit(1)


def _emit_gates(error: GatesNotPassedError) -> None:
    from dataclasses import asdict

    emit_json({"changed": False, "gates": [asdict(one) for one in error.gates]})


def _ask(file: Path, *, as_json: bool, **given: Any) -> None:
    """Write a request for approval."""
    from ..promotion._approve import request_document
    from ..promotion._asking import make_request
    from ..promotion.gates import ask, describe

    with refusing():
        request = make_request(**given)
        gates = ask(request)
        document = request_document(request, gates)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
    if as_json:
        emit_json(document)
        return
    click.echo(describe(gates))
    click.echo(f"wrote {file}; an approver runs `llmguard approve {file}`")
