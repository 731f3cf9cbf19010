"""`llmguard queue cases` and `calibrate`: what people's answers teach."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from llmguard._nested import read_json
from llmguard.cli._text import counted, examples
from llmguard.clock import SYSTEM_CLOCK
from llmguard.store import CaseState, ProposedCase, Store
from llmguard.store.answers import encode_answer

from . import _text as text
from ._calibrate import Calibration, calibrate, reviewed_of
from ._cases import case_document, export_cases
from ._cli_shared import (
    find_ticket,
    id_argument,
    json_option,
    look,
    options,
    print_json,
    reviewer_option,
    usage,
)
from ._cli_upkeep import seconds_of

__all__ = ["COMMANDS"]

_STATES = ("proposed", "accepted", "dismissed")
_function = click.option("--function", metavar="NAME", help="Only of this function.")


@click.group(epilog=examples("llmguard queue cases list"))
def cases() -> None:
    """Answers that may become cases of a contract suite."""


@cases.command("list", epilog=examples("llmguard queue cases list --state proposed"))
@options(_function, json_option)
@click.option(
    "--state",
    default="proposed",
    type=click.Choice(_STATES),
    help="Only cases in this state.",
)
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1), help="How many."
)
@click.pass_obj
def list_(
    url: str | None, *, function: str | None, state: str, limit: int, as_json: bool
) -> None:
    """Show cases, the oldest first."""
    found = look(url).feedback.cases(
        state=cast("CaseState", state), function=function, limit=limit
    )
    if as_json:
        print_json([_json(one) for one in found])
        return
    for one in found:
        hidden = "  (inputs redacted)" if one.redacted else ""
        click.echo(f"{one.ticket_id}  {text.safe(one.function)}{hidden}")
        click.echo(f"  input     {_short(one.inputs)}")
        click.echo(f"  expected  {_short(one.expected)}")
    if not found:
        click.echo(f"no {state} cases")


def _short(value: object) -> str:
    line = text.safe(json.dumps(value, ensure_ascii=False))
    return line if len(line) <= 200 else f"{line[:197]}..."  # noqa: PLR2004 - a line or two


def _json(one: ProposedCase) -> dict[str, object]:
    names = [field.name for field in dataclasses.fields(one)]
    return {name: getattr(one, name) for name in names}


@cases.command(
    epilog=examples(
        "llmguard queue cases accept 01K7 --note 'two topics in one ticket'"
    )
)
@options(id_argument, reviewer_option, json_option)
@click.option("--note", default="", help="Why.")
@click.option(
    "--inputs",
    type=click.Path(path_type=Path),
    help="JSON file with arguments to use instead, where redaction hid some.",
)
@click.pass_obj
def accept(
    url: str | None,
    *,
    ticket_id: str,
    reviewer: str,
    note: str,
    inputs: Path | None,
    as_json: bool,
) -> None:
    """Take a case: `cases export` writes it to a suite's file."""
    given = None
    if inputs is not None:
        try:
            given = read_json(inputs.read_text("utf-8"))
        except (OSError, ValueError) as error:
            usage(f"--inputs {str(inputs)!r}: {error}")
        if not isinstance(given, dict):
            usage(f"--inputs {str(inputs)!r} must hold a JSON object of arguments")
        if encode_answer(cast("object", given)) is None:
            usage(f"--inputs {str(inputs)!r} holds a number that JSON has not")
    store = look(url)
    case = store.feedback.decide(
        find_ticket(store, ticket_id).id,
        state="accepted",
        actor=reviewer,
        note=note,
        inputs=cast("dict[str, object] | None", given),
    )
    if as_json:
        print_json(case_document(case))
        return
    click.echo(f"accepted: {case.ticket_id}")
    if case.redacted:
        click.echo(
            "its inputs are redacted, so `cases export` leaves it out: accept it with "
            "`--inputs FILE` of invented ones"
        )


@cases.command(
    epilog=examples("llmguard queue cases dismiss 01K7 --note 'not a real ticket'")
)
@options(id_argument, reviewer_option, json_option)
@click.option("--note", default="", help="Why.")
@click.pass_obj
def dismiss(
    url: str | None, *, ticket_id: str, reviewer: str, note: str, as_json: bool
) -> None:
    """Leave a case out."""
    store = look(url)
    case = store.feedback.decide(
        find_ticket(store, ticket_id).id, state="dismissed", actor=reviewer, note=note
    )
    if as_json:
        print_json(dataclasses.asdict(case))
    else:
        click.echo(f"dismissed: {case.ticket_id}")


@cases.command(epilog=examples("llmguard queue cases export cases.jsonl"))
@options(_function, json_option)
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_obj
def export(url: str | None, *, function: str | None, path: Path, as_json: bool) -> None:
    """Add accepted cases to a suite's JSONL file PATH; those it has stay."""
    done = export_cases(look(url), path, function=function)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    click.echo(
        f"{counted(done.written, 'case')} added to {path}, {done.known} were there"
    )
    if done.redacted:
        click.echo(
            f"{len(done.redacted)} left out, their inputs are redacted: "
            f"`llmguard queue cases accept {done.redacted[0]} --inputs FILE`"
        )


@click.command(
    "calibrate",
    epilog=examples(
        "llmguard queue calibrate --target 0.02 --field /category --since 30d"
    ),
)
@options(_function, json_option)
@click.option(
    "--target",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of wrong answers to stay under.",
)
@click.option(
    "--confidence",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="How sure the statement has to be.",
)
@click.option("--pin", help="Only of this version.")
@click.option("--tier", help="Only of this tier.")
@click.option("--field", "fields", multiple=True, help="JSON pointer that counts.")
@click.option("--since", type=seconds_of, metavar="SPAN", help="Only of the last SPAN.")
@click.pass_context
def calibrate_(
    ctx: click.Context,
    *,
    function: str | None,
    target: float,
    confidence: float,
    pin: str | None,
    tier: str | None,
    fields: Sequence[str],
    since: float | None,
    as_json: bool,
) -> None:
    """Show which confidence cut-off would have kept errors under a target.

    From answers that people gave to what models had proposed with a confidence. Exit
    code 1 when it cannot be told.
    """
    store = look(ctx.obj)
    start = 0.0 if since is None else SYSTEM_CLOCK.time() - since
    name = function or _only_function(store, start)
    labels = store.feedback.labels(function=name, since=start, limit=100_000)
    reviewed = reviewed_of(labels, pin=pin, tier=tier, fields=fields)
    found = calibrate(reviewed, target=target, confidence=confidence)
    if as_json:
        print_json({"function": name, **dataclasses.asdict(found)})
    else:
        click.echo(_calibration(name, found, target, confidence))
    if found.cutoff is None:
        ctx.exit(1)


def _only_function(store: Store, since: float) -> str:
    names = {one.function for one in store.feedback.labels(since=since)}
    if len(names) != 1:
        given = ", ".join(sorted(names)) or "none yet"
        usage(f"--function: say whose answers; there are reviews of {given}")
    return names.pop()


def _calibration(
    name: str, found: Calibration, target: float, confidence: float
) -> str:
    rows = [("FROM", "TAKEN", "WRONG", "RATE", "95 % INTERVAL", "BOUND", "")]
    rows += [
        (
            f"{one.confidence:.3f}",
            str(one.taken),
            str(one.wrong),
            f"{one.wrong / one.taken:.2%}",
            f"{one.low:.2%} to {one.high:.2%}",
            f"{one.bound:.2%}",
            "<- holds" if one == found.cutoff else "",
        )
        for one in found.table
    ]
    head = (
        f"{name}: {found.n} reviewed answers with a confidence; wrong in under "
        f"{target:.2%}, {confidence:.0%} sure"
    )
    lines = [
        head,
        text.aligned(rows) if found.table else "",
        f"{found.verdict}: {found.why}",
    ]
    if found.cutoff is not None:
        # Never below what was measured.
        cutoff = math.ceil(found.cutoff.confidence * 1000) / 1000
        lines.append(f"set `min_confidence={cutoff:.3f}`")
    if found.lowest is not None and found.highest is not None:
        lines.append(
            f"nobody reviewed answers outside {found.lowest:.3f} to "
            f"{found.highest:.3f}: nothing is known of them"
        )
    return "\n".join(line for line in lines if line)


COMMANDS = (cases, calibrate_)
