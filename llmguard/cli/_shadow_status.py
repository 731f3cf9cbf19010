"""`llmguard shadow status`: what runs in shadow, and what has come of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ._options import env_of
from ._shadow_live import env_option, json_option, opened, reported, store_option
from ._text import age, emit_json, examples, table

if TYPE_CHECKING:
    from ..shadow.live._read import ShadowStatus
    from ..store import ShadowRun, Store

__all__ = ["status_command"]


@click.command("status", epilog=examples("llmguard shadow status triage"))
@click.argument("subject", required=False)
@click.option("--all", "everything", is_flag=True, help="Those that stopped, too.")
@env_option
@json_option
@store_option
def status_command(
    *,
    subject: str | None,
    everything: bool,
    env: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Show what runs in shadow, or the shadows of SUBJECT: a route, function or id."""
    from ..shadow.live._read import document_of, status_of

    store, now = opened(url), time.time()
    runs = _runs(store, subject, env, everything=everything)
    found = reported(lambda: [status_of(store, run, now=now) for run in runs])
    if as_json:
        emit_json([document_of(each) for each in found])
    elif not found:
        click.echo(
            "nothing runs in shadow; `llmguard shadow start ROUTE PIN` begins it"
        )
    else:
        click.echo("\n\n".join(_text(each, now) for each in found))


def _runs(
    store: Store, subject: str | None, env: str | None, *, everything: bool
) -> list[ShadowRun]:
    from ._shadow_live import runs_of

    wanted = env_of(env)
    if subject is not None:
        runs = list(runs_of(store, subject, wanted))
        return runs if everything else runs[:1]
    return list(store.shadow.runs(env=wanted, running=not everything))


def _text(status: ShadowStatus, now: float) -> str:
    run = status.run
    head = f"{run.id}  {run.subject} ({run.env})  challenger {run.pin}  {run.state}"
    lines = [head if run.running else f"{head}: {run.reason}"]
    rows: list[tuple[str, str]] = [
        ("since", _since(run, now)),
        ("calls seen", f"{status.seen:,}; sampled {status.sampled:,}"),
        ("compared", f"{status.compared:,}; drawn twice {status.doubled:,}"),
        ("budget", _budget(status)),
        ("challenger", _words(dict(status.challenger)) or "not asked yet"),
    ]
    rows += [("seconds", _seconds(status)), *_plan(status)]
    rows += [(f"  {name}", f"{n:,}") for name, n in status.apart.items()]
    lines.append(table([(name, value) for name, value in rows]))
    if len(status.strata) > 1:
        head_row: list[tuple[object, ...]] = [("stratum", "seen", "sampled")]
        strata = [
            (name or "(no label)", f"{seen:,}", f"{sampled:,}")
            for name, (seen, sampled) in status.strata.items()
        ]
        lines.append(table([*head_row, *strata], indent=4))
    return "\n".join(lines)


def _plan(status: ShadowStatus) -> list[tuple[str, str]]:
    """Return how far it is, and whether it gets there in its time."""
    plan, hours = status.plan, status.hours_to_go
    if plan is None or hours is None or not status.run.running:
        return []
    goal = f"{plan.detect:.0%} beyond a floor of {plan.floor:.0%}"
    text = f"{plan.needed:,} drawn twice show {goal}; "
    if not hours:
        text += "they are there"
    else:
        text += f"{hours:,.1f} h more at {plan.traffic:,.0f} calls a day"
    if status.hours_left is not None and hours > status.hours_left:
        text += ": more than it has left, start it with a larger --share or --hours"
    return [("plan", text)]


def _since(run: ShadowRun, now: float) -> str:
    began = f"{age(now - run.started_at)} ago"
    if run.stopped_at is None:
        return f"{began}, by {run.actor}"
    lasted = age(run.stopped_at - run.started_at)
    return f"{began}; stopped after {lasted} by {run.actor}"


def _budget(status: ShadowStatus) -> str:
    run = status.run
    parts = [f"{run.calls:,}"]
    if run.calls_limit is not None:
        parts[0] += f" of {run.calls_limit:,}"
    parts[0] += " calls taken"
    if run.cost or run.cost_limit:
        limit = "" if run.cost_limit is None else f" of ${run.cost_limit:,.2f}"
        parts.append(f"${run.cost:,.4f}{limit}")
    if status.hours_left is not None:
        parts.append(f"{status.hours_left:.1f} h left")
    if status.tokens:
        parts.append(f"{status.tokens:,} tokens")
    return "; ".join(parts)


def _seconds(status: ShadowStatus) -> str:
    names = ("incumbent", "challenger")
    shown = [
        f"{name} {seconds:.3g}"
        for name, seconds in zip(names, status.seconds, strict=True)
        if seconds is not None
    ]
    return f"mean {', '.join(shown)}" if shown else "-"


def _words(kinds: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in kinds.items())
