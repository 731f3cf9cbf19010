"""`llmguard status`: what runs now, what is degraded, why, and what to do."""

from __future__ import annotations

import time

import click

from ..promotion.overview import Report, TierLine, gather
from ..store import open_store, store_exists, store_name
from ._options import json_option, store_option
from ._text import age, counted, emit_json, examples, table

__all__ = ["status"]

_WORDS = {True: "PROVEN", False: "UNPROVEN", None: "-"}


@click.command(epilog=examples("llmguard status", "llmguard status --minutes 5 --json"))
@store_option
@click.option(
    "--minutes",
    default=60,
    show_default=True,
    type=click.IntRange(min=1),
    help="How far back the counts go.",
)
@json_option
def status(url: str | None, minutes: int, as_json: bool) -> None:
    """Show what runs, what is degraded and why, from the store.

    Exit code 1 when something needs a person.
    """
    if not store_exists(url):
        name = store_name(url)
        if as_json:
            emit_json({"store": name, "exists": False})
            return
        click.echo(
            f"No store at {name} yet: no guarded call has been recorded.\n"
            "Functions pinned by a route of `models.lock` record there by themselves; "
            "`llmguard demo` fills one, `llmguard doctor` says what is missing."
        )
        return
    report = gather(open_store(url), window=minutes * 60.0)
    if as_json:
        emit_json(report.document())
    else:
        _print(report)
    if report.todo:
        raise SystemExit(1)


def _print(report: Report) -> None:
    alive = [p for p in report.processes if p["alive"]]
    click.echo(f"store      {report.store}")
    gone = len(report.processes) - len(alive)
    click.echo(f"processes  {len(alive)} alive, {gone} gone")
    click.echo(f"\nCalls in the last {age(report.window)}")
    click.echo(_calls(report) or "  none")
    if report.tiers:
        click.echo("\nTiers")
        click.echo(_tiers(report))
        click.echo(f"  {_legend(report)}")
    if report.versions:
        click.echo("\nVersions")
        click.echo(_versions(report))
    if report.routes:
        click.echo("\nRouting")
        click.echo(_routes(report))
    if report.breakers:
        click.echo("\nBreakers")
        click.echo(_breakers(report))
    if report.queues:
        click.echo("\nQueues")
        click.echo(_queues(report))
    click.echo("\nTo do")
    click.echo("\n".join(f"  - {line}" for line in report.todo) or "  nothing")


def _calls(report: Report) -> str:
    rows: list[tuple[object, ...]] = []
    for function, counts in sorted(report.calls.items()):
        degraded = counts["degraded"] / counts["calls"]
        deferred = counts.get("deferred", 0) / counts["calls"]
        others = {
            k: n
            for k, n in counts.items()
            if k not in {"calls", "ok", "degraded", "deferred"}
        }
        failed = ", ".join(f"{n} {kind}" for kind, n in sorted(others.items()))
        rows.append(
            (
                function,
                counted(counts["calls"], "call"),
                f"{degraded:.1%} degraded, {deferred:.1%} deferred",
                failed,
            )
        )
    return table(rows)


def _tiers(report: Report) -> str:
    now = report.at
    rows: list[tuple[object, ...]] = [
        ("function", "tier", "pin", "ok", "mean", "last ok", "", "fails", "otherwise")
    ]
    for line in report.tiers:
        failed = ", ".join(f"{n} {k}" for k, n in sorted(line.failed.items()))
        rows.append(
            (
                line.function.rsplit(".", 1)[-1],
                line.tier,
                line.pin or "-",
                line.answered,
                "-" if line.mean_ms is None else f"{line.mean_ms:.0f} ms",
                _last_ok(line, now),
                _WORDS[line.proven],
                "-" if line.bound is None else f"<= {line.bound:.1%}",
                failed,
            )
        )
    return table(rows)


def _last_ok(line: TierLine, now: float) -> str:
    if line.last_ok is None:
        return "never"
    source = "" if line.source == "live" else f" ({line.source})"
    return f"{age(now - line.last_ok)} ago{source}"


def _legend(report: Report) -> str:
    """Explain the two columns that need it, and name the command for the unproven."""
    text = (
        "PROVEN: a good answer within 24 h, to a live call, an exercise or a drill.\n"
        "  fails: highest failure rate that fits the last 24 h, at 95 % confidence."
    )
    unproven = {line.drill for line in report.tiers if line.proven is False}
    for target in sorted(unproven - {""}):
        text += f"\n  unproven: `llmguard drill {target}`"
    return text


def _versions(report: Report) -> str:
    return table(
        (
            line.route,
            f"{line.serves} {line.model}".strip() or "nothing",
            line.owner or "no owner",
            f"quarantined: {', '.join(line.quarantined)}" if line.quarantined else "",
            line.moved or "by models.lock",
        )
        for line in report.versions
    )


def _routes(report: Report) -> str:
    rows: list[tuple[object, ...]] = [
        ("env", "route", "active", "canary", "experiment", "revision", "applied")
    ]
    alive = sum(1 for process in report.processes if process["alive"])
    for line in report.routes:
        canary = f"{line.canary} {line.weight / 100:g} %" if line.canary else "-"
        told = f"behind: {', '.join(line.behind)}" if line.behind else ""
        stale = f"stale: {', '.join(line.stale)}" if line.stale else ""
        everywhere = "everywhere" if alive else "no process runs"
        rows.append(
            (
                line.env,
                line.route,
                line.active or "by models.lock",
                canary,
                line.experiment or "-",
                f"r{line.rev}",
                "; ".join(filter(None, (told, stale))) or everywhere,
            )
        )
    return table(rows)


def _breakers(report: Report) -> str:
    return table(
        (
            row["key"],
            row["state"],
            f"since {time.strftime('%H:%M:%S', time.localtime(row['since']))}",
            row["reason"],
        )
        for row in report.breakers
    )


def _queues(report: Report) -> str:
    rows: list[tuple[object, ...]] = []
    for queue in report.queues:
        counts = ", ".join(f"{n} {state}" for state, n in queue["counts"].items() if n)
        oldest = queue["oldest"]
        waited = "" if oldest is None else f"oldest waits {age(oldest)}"
        dead = queue["callbacks_dead"]
        told = f"{counted(dead, 'callback')} given up" if dead else ""
        rows.append((queue["queue"], counts or "empty", waited, told))
    return table(rows)
