"""`llmguard drill`: what a function's fallbacks are worth, before they are needed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import click

from ..guard import Guard
from ..guard._drill import Share, TierDrill, drilled_steps, spread
from ..guard._drill import drill as run_drill
from ..store import open_store
from ..telemetry.activity import DRILL, Activity
from ._drill_inputs import load_guard, read_inputs, ticket_inputs
from ._options import json_option
from ._text import counted, emit_json, examples, table

__all__ = ["drill", "progress_on"]

_PROCESS: Final = "drill"


@click.command(
    epilog=examples(
        "llmguard drill shop.tickets:triage --n 50",
        "llmguard drill shop.tickets:triage --tier 1 --min-valid 0.98",
    )
)
@click.argument("function")
@click.option(
    "--inputs",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSONL file, one object of arguments per line.",
)
@click.option(
    "--n",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many inputs, spread over what there is.",
)
@click.option("--tier", "tiers", multiple=True, help="Only this one; may be repeated.")
@click.option("--reference/--no-reference", default=True, help="Ask the first tier.")
@click.option(
    "--min-valid",
    default=0.9,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of valid answers that every lower tier must reach.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing to the store.")
@json_option
def drill(
    *,
    function: str,
    path: Path | None,
    n: int,
    tiers: tuple[str, ...],
    reference: bool,
    min_valid: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run inputs through each tier of FUNCTION (`module:function`) by itself.

    Says which share of its answers satisfies the contract, how often they agree with
    the first tier's, how else it ended, and how long it took; people and constants
    are left out. Without --inputs it takes those of tickets in the human queue. Models
    are really called. Exit code 1 when a lower tier is below --min-valid.
    """
    guard = load_guard(function)
    steps = drilled_steps(guard, only=tiers, reference=reference)
    known = ticket_inputs(guard) if path is None else read_inputs(guard, path)
    chosen = spread(known, n)
    results = run_drill(guard, chosen, steps, progress=progress_on(sys.stderr))
    low = [one for one in results if not one.reference and _below(one, min_valid)]
    if not dry_run:
        _prove(guard, results)
    if as_json:
        emit_json(_document(guard, results, low, len(chosen), min_valid))
    else:
        click.echo(_text(guard, results, len(chosen)))
        click.echo(_ending(low, min_valid, dry_run=dry_run))
    if low:
        raise SystemExit(1)


def _below(one: TierDrill, min_valid: float) -> bool:
    """Tell whether a tier failed the drill; one that was never tried has."""
    return (one.valid.rate or 0.0) < min_valid or not one.tried


def progress_on(stream: TextIO) -> Callable[[str, int, int], None] | None:
    """Return what shows progress on a terminal; None for anything else."""
    if not stream.isatty():
        return None

    def show(tier: str, done: int, of: int) -> None:
        stream.write(f"\r{tier}: {done}/{of}  " + "\n" * (done == of))
        stream.flush()

    return show


def _prove(guard: Guard, results: Sequence[TierDrill]) -> None:
    """Write the attempts to the store, apart from live ones."""
    activity = Activity()
    for one in results:
        for attempt, at in one.attempts():
            activity.note(guard.name, attempt, at, DRILL)
    rows = [{**row, "process": _PROCESS} for row in activity.drain()]
    open_store().add_activity(rows)


def _document(
    guard: Guard,
    results: Sequence[TierDrill],
    low: Sequence[TierDrill],
    n: int,
    min_valid: float,
) -> dict[str, Any]:
    return {
        "function": guard.name,
        "at": time.time(),
        "inputs": n,
        "min_valid": min_valid,
        "tiers": [one.document() for one in results],
        "below": [one.tier for one in low],
    }


def _text(guard: Guard, results: Sequence[TierDrill], n: int) -> str:
    rows: list[tuple[object, ...]] = [
        ("tier", "pin", "valid", "95 %", "agrees", "first", "p50", "p95", "otherwise")
    ]
    rows.extend(_row(one) for one in results)
    lines = [f"{guard.name}: {counted(n, 'input')} through each tier", "", table(rows)]
    for one in results:
        lines += _notes(one)
    return "\n".join(lines)


def _row(one: TierDrill) -> tuple[object, ...]:
    valid, first = one.valid, one.tried[0].elapsed if one.tried else None
    low, high = valid.interval
    return (
        one.tier,
        one.pin or "-",
        f"{valid.good}/{valid.n}",
        f"{low:.1%} to {high:.1%}",
        "reference" if one.reference else _rate(one.agrees),
        _ms(first),
        _ms(one.latency(0.5)),
        _ms(one.latency(0.95)),
        ", ".join(f"{count} {kind}" for kind, count in one.kinds.items()),
    )


def _notes(one: TierDrill) -> list[str]:
    """Return what the table has no room for."""
    lines: list[str] = []
    if one.fields:
        shown = ", ".join(f"{k} {_rate(v)}" for k, v in one.fields.items())
        lines.append(f"  {one.tier} agrees on: {shown}")
    lines += [f"  {one.tier} {kind}: {text}" for kind, text in one.details.items()]
    slow = one.latency(0.95)
    if not one.reference and slow is not None and slow > one.reserve:
        lines.append(
            f"  {one.tier} is slower (p95 {slow:.1f} s) than the {one.reserve:g} s "
            "that upper tiers always leave it: raise its `reserve=`"
        )
    return lines


def _rate(share: Share | None) -> str:
    rate = None if share is None else share.rate
    return "-" if rate is None else f"{rate:.1%}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.0f} ms"


def _ending(low: Sequence[TierDrill], min_valid: float, *, dry_run: bool) -> str:
    if low:
        names = ", ".join(one.tier for one in low)
        said = f"\nBelow {min_valid:.0%} valid, or never tried: {names}"
    else:
        said = f"\nEvery lower tier answered at least {min_valid:.0%} validly"
    kept = "nothing was written" if dry_run else "kept for `llmguard status`"
    return f"{said} ({kept})"
