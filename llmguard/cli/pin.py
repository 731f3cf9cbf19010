"""`llmguard pin`: the model versions that may run, and what is wrong with them.

Exit codes: 0 done; 1 refused, or `check` found something; 2 wrong usage; 4 the lock is
stale, missing or edited by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import click

from .. import config
from ..errors import LockError
from ..pins import (
    HORIZON,
    FingerprintPolicy,
    Lock,
    Pin,
    check,
    classify,
    edit_lock,
    ending,
    naming,
    prepare,
    read_lock,
    refresh,
    shutdown,
)
from ._options import json_option
from ._pin_io import (
    Horizon,
    PinGroup,
    describe,
    emit,
    from_lock_directory,
    lock_option,
    pairs,
    record,
    refusing,
    table,
    written_ids,
)
from ._pin_lifecycle import ask_lifecycle
from ._pin_probe import probe
from ._text import counted, examples

__all__ = ["pin"]


@click.group(
    cls=PinGroup,
    epilog=examples("llmguard pin list", "llmguard pin check --horizon 90d"),
)
def pin() -> None:
    """The model versions that may run: `models.lock`."""


@pin.command(
    epilog=examples(
        "llmguard pin add triage --provider openai --model gpt-5.2-2025-12-11"
    )
)
@click.argument("route")
@click.option("--provider", required=True, help="openai, replay, llama.cpp, ...")
@click.option("--model", required=True, help="Exact model id, or a file.")
@click.option("--endpoint", help="Base URL; the provider's own by default.")
@click.option("--param", "params", multiple=True, help="NAME=VALUE sent with calls.")
@click.option("--option", "options", multiple=True, help="NAME=VALUE for the provider.")
@click.option("--expect-echo", multiple=True, help="Served id to accept; * for any.")
@click.option(
    "--fingerprint-policy",
    type=click.Choice(get_args(FingerprintPolicy)),
    default="record",
    help="What a changed fingerprint does.",
)
@click.option("--prompt-digest", default="", help="Digest of the prompt.")
@click.option("--schema-digest", default="", help="Digest of the answer's schema.")
@click.option("--contract", default="", help="Name of the contract.")
@click.option("--owner", default="", help="Who decides about this pin.")
@click.option("--accept-opaque", default="", metavar="REASON", help="Why it may be.")
@click.option("--shutdown", "ends", default="", metavar="DATE", help="Known last day.")
@click.option("--activate", is_flag=True, help="Make it the route's active pin.")
@lock_option
@json_option
def add(
    *,
    route: str,
    model: str,
    provider: str,
    endpoint: str | None,
    params: tuple[str, ...],
    options: tuple[str, ...],
    ends: str,
    activate: bool,
    lock: Path,
    as_json: bool,
    **rest: Any,
) -> None:
    """Allow a model on a route; the first one of a route is active at once."""
    declared = Pin(
        route=route,
        provider=provider,
        model=from_lock_directory(provider, model, lock),
        endpoint=endpoint,
        params=pairs("--param", params),
        options=pairs("--option", options),
        lifecycle={"shutdown": ends, "source": "command line"} if ends else {},
        base=str(lock.absolute().parent),
        **rest,
    )
    new = prepare(declared, strict=config.load().strict)
    after = edit_lock(lock, lambda old: old.with_pin(new, activate=activate))
    emit(record(after, new), _added(after, new), as_json=as_json)
    if warning := ending(new, horizon=HORIZON, today=_today()):
        click.echo(f"Warning: {warning}", err=True)


@pin.command("list", epilog=examples("llmguard pin list --json"))
@lock_option
@json_option
def list_(*, lock: Path, as_json: bool) -> None:
    """List every pin; `*` marks the active one of each route."""
    found = read_lock(lock)
    rows = [record(found, each) for each in found.pins.values()]
    rows.sort(key=lambda row: (str(row["route"]), not row["active"], str(row["id"])))
    emit(rows, table(rows), as_json=as_json)


@pin.command(epilog=examples("llmguard pin show triage"))
@click.argument("name")
@lock_option
@json_option
def show(*, name: str, lock: Path, as_json: bool) -> None:
    """Show one pin, by its id, or the active one of a route."""
    found = read_lock(lock)
    with refusing():
        one = found.pin(name) if name in found.pins else found.resolve(name)
    row = record(found, one)
    emit(row, describe(row), as_json=as_json)


@pin.command("check", epilog=examples("llmguard pin check --horizon 90d --files"))
@click.option("--horizon", type=Horizon(), default="90d", help="Such as 90d or 12w.")
@click.option("--files/--no-files", default=True, help="Hash model files.")
@lock_option
@json_option
def check_(*, horizon: timedelta, files: bool, lock: Path, as_json: bool) -> None:
    """Find aliases, shutdowns, changed files; for CI."""
    document: dict[str, Any] = {"lock": str(lock), "naming": naming().updated}
    try:
        found = read_lock(lock)
    except LockError as error:
        if not as_json:
            raise
        row = {"code": "lock", "message": str(error), "stale": True}
        emit({**document, "findings": [row]}, "", as_json=True)
        raise SystemExit(4) from error
    findings = check(
        found.pins.values(),
        horizon=horizon,
        today=_today(),
        strict=config.load().strict,
        files=files,
    )
    rows = [asdict(finding) for finding in findings]
    lines = [f"{row['code']}: {row['message']}\n  -> {row['repair']}" for row in rows]
    head = f"{counted(len(found.pins), 'pin')}, names as of {naming().updated}: "
    text = "\n".join([*lines, head + (f"{len(rows)} to repair" if rows else "ok")])
    emit({**document, "findings": rows}, text, as_json=as_json)
    raise SystemExit(_exit_code([finding.stale for finding in findings]))


@pin.command(epilog=examples("llmguard pin use p-c2bb020ba1"))
@click.argument("pin_id")
@lock_option
@json_option
def use(*, pin_id: str, lock: Path, as_json: bool) -> None:
    """Make a pin the active one of its route."""
    after = edit_lock(lock, _change(lambda old: old.activated(pin_id)))
    one = after.pin(pin_id)
    emit(record(after, one), _added(after, one), as_json=as_json)


@pin.command(epilog=examples("llmguard pin remove p-c2bb020ba1"))
@click.argument("pin_id")
@lock_option
@json_option
def remove(*, pin_id: str, lock: Path, as_json: bool) -> None:
    """Remove a pin that is not active, or the last one of its route."""
    after = edit_lock(lock, _change(lambda old: old.without(pin_id)))
    left = [record(after, each) for each in after.pins.values()]
    text = f"Removed {pin_id}; {len(left)} left. Next: commit {lock.name}"
    emit({"removed": pin_id, "pins": left}, text, as_json=as_json)


@pin.command(
    "refresh",
    epilog=examples("llmguard pin refresh", "llmguard pin refresh --lifecycle"),
)
@click.option("--files", is_flag=True, help="Also take the hashes of files anew.")
@click.option(
    "--lifecycle", is_flag=True, help="Ask the providers when their models end."
)
@lock_option
@json_option
def refresh_(*, files: bool, lifecycle: bool, lock: Path, as_json: bool) -> None:
    """Accept edits by hand: classify and hash every entry anew.

    With `--lifecycle` every provider whose key is set is asked for its list of models
    instead, and the ends that it announces are written down; ids and evidence stay.
    """
    if lifecycle:
        ask_lifecycle(lock, today=_today(), as_json=as_json)
        return
    before = written_ids(lock)
    strict = config.load().strict
    after = edit_lock(
        lock, lambda old: refresh(old, strict=strict, rehash=files), verify=False
    )
    gone, new = sorted(before - set(after.pins)), sorted(set(after.pins) - before)
    lines = [*(f"- {key}" for key in gone), *(f"+ {key}" for key in new)]
    lines.append(
        f"{counted(len(after.pins), 'pin')} hashed. Next: review `git diff {lock.name}`"
    )
    document = {"removed": gone, "added": new, "pins": len(after.pins)}
    emit(document, "\n".join(lines), as_json=as_json)


@pin.command(
    "classify", epilog=examples("llmguard pin classify openai gpt-5.2-2025-12-11")
)
@click.argument("provider")
@click.argument("model")
@click.option("--endpoint", help="Base URL of an OpenAI-compatible server.")
@json_option
def classify_(
    *, provider: str, model: str, endpoint: str | None, as_json: bool
) -> None:
    """Tell what a model name promises: versioned, alias, opaque, ..."""
    found = classify(provider, model, endpoint=endpoint)
    end = shutdown(provider, model, endpoint=endpoint)
    document = {
        **found._asdict(),
        "shutdown": end.date if end else None,
        "naming": naming().updated,
    }
    lines = [f"{found.version_class}: {found.reason}"]
    if found.suggestion:
        lines.append(f"pinned: {found.suggestion}")
    if end:
        lines.append(f"shuts down on {end.date} ({end.source})")
    lines.append(f"(names as of {naming().updated})")
    emit(document, "\n".join(lines), as_json=as_json)
    raise SystemExit(1 if found.version_class == "alias" else 0)


def _change(change: Callable[[Lock], Lock]) -> Callable[[Lock], Lock]:
    """Report what the lock refuses as a failure, not as a stale lock."""

    def changed(old: Lock) -> Lock:
        with refusing():
            return change(old)

    return changed


def _added(lock: Lock, one: Pin) -> str:
    active = lock.routes[one.route].active == one.id
    reason = classify(
        one.provider, one.model, endpoint=one.endpoint, options=one.options
    ).reason
    state = "active" if active else "allowed, not active"
    following = f'use it: `@pinned("{one.route}")`'
    if not active:
        following = f"`llmguard pin use {one.id}` makes it answer"
    return (
        f"{one.route}: {one.id} ({state}) is {one.model}, "
        f"{one.version_class}: {reason}\n"
        f"Next: review and commit {lock.path.name if lock.path else 'the lock'}; "
        f"{following}"
    )


def _exit_code(stale: list[bool]) -> int:
    if not stale:
        return 0
    return 4 if any(stale) else 1


def _today() -> date:
    return datetime.now(UTC).date()


pin.add_command(probe)
