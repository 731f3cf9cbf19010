"""`llmguard breaker`: what the circuit breakers do, and a person's word on it.

Commands are written to the store; every running process that shares it follows at
its next exchange, about a second later. Exit codes: 0 done; 1 the store failed;
2 wrong usage, such as a key that nobody has reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from .._login import login
from ..errors import ConfigError, LLMGuardError
from ._options import json_option, opened, store_option
from ._text import age, emit_json, examples, table

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..store import BreakerRow

__all__ = ["breaker"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MEANING: Final = {
    "closed": "evidence decides again",
    "forced-closed": "admits every call, whatever happens",
    "forced-open": "admits no call",
    "quarantined": "admits no call; it was quarantined already",
}


def _complete_key(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 - click's signature
    incomplete: str,
) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        rows = opened(ctx.params.get("url"), create=False).list_breakers()
    except (click.ClickException, LLMGuardError):
        return []
    return [
        CompletionItem(row.key, help=row.state)
        for row in rows
        if row.key.startswith(incomplete)
    ]


def _takes_key(function: _F) -> _F:
    """Add the arguments that every commanding verb takes."""
    for option in (
        click.argument("key", shell_complete=_complete_key),
        click.option("--reason", default="", help="Why; shown to everybody."),
        click.option("--new", is_flag=True, help="KEY is not reported yet; write it."),
        json_option,
        store_option,
    ):
        function = option(function)
    return function


@click.group(
    epilog=examples(
        "llmguard breaker list",
        "llmguard breaker open p-c2bb020ba1 --reason 'answers in French'",
    )
)
def breaker() -> None:
    """The circuit breaker of each function on each pinned model version.

    A KEY is `function|pin id`; the function or the pin id alone will do where only
    one breaker has it.
    """


@breaker.command("list", epilog=examples("llmguard breaker list --json"))
@json_option
@store_option
def list_(*, as_json: bool, url: str | None) -> None:
    """List every breaker that any process has reported."""
    rows = opened(url, create=False).list_breakers()
    if as_json:
        emit_json([_document(row) for row in rows])
    elif not rows:
        click.echo("no breaker has been reported yet; guarded calls report theirs")
    else:
        now = time.time()
        head = ("KEY", "STATE", "FOR", "BY", "REASON")
        click.echo(table([head, *(_line(row, now) for row in rows)], indent=0))


@breaker.command(
    "open",
    epilog=examples("llmguard breaker open p-c2bb020ba1 --reason 'answers in French'"),
)
@_takes_key
def open_(**options: Any) -> None:
    """Force KEY open: admit no call until it is resumed."""
    _command("open", **options)


@breaker.command(
    epilog=examples("llmguard breaker close p-c2bb020ba1 --reason 'outage is over'")
)
@_takes_key
def close(**options: Any) -> None:
    """Force KEY closed: admit every call until it is resumed; lifts a quarantine."""
    _command("close", **options)


@breaker.command(
    epilog=examples("llmguard breaker resume p-c2bb020ba1 --reason 'by itself again'")
)
@_takes_key
def resume(**options: Any) -> None:
    """Let evidence decide about KEY again: lifts a force or a quarantine."""
    _command("resume", **options)


def _command(
    verb: str, *, key: str, reason: str, new: bool, as_json: bool, url: str | None
) -> None:
    from ..breaker import command, find_key

    store = opened(url, create=new)
    try:
        known = key if new else find_key(store, key)
    except ConfigError as error:
        hint = "`--new` writes a key that no process has reported yet"
        raise click.BadParameter(f"{error}\n{hint}", param_hint="KEY") from error
    try:
        row = command(store, known, verb, actor=login(), reason=reason)
    except LLMGuardError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        emit_json(_document(row))
    else:
        click.echo(f"{row.key} is {row.state}: {_MEANING[row.state]}")


def _document(row: BreakerRow) -> dict[str, object]:
    function, _, pin = row.key.rpartition("|")
    document: dict[str, object] = asdict(row)
    return document | {
        "function": function,
        "pin": pin,
        "since": _iso(row.since),
        "until": None if row.until is None else _iso(row.until),
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _line(row: BreakerRow, now: float) -> tuple[str, ...]:
    state = row.state
    if row.until is not None and row.until <= now:
        # The process that wrote it is gone or idle: nothing has probed since.
        state += " (probes due)"
    return row.key, state, age(now - row.since), row.actor, row.reason or "-"
