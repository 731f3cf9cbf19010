"""`llmguard monitor`: what versions say, against how they said it when promoted.

Exit codes: 0 done; 1 the store failed, or an alarm stands or fired; 2 wrong usage.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from ._monitor_backtest import backtest
from ._options import env_of, env_option, json_option, opened, store_option
from ._text import age, emit_json, examples, table

if TYPE_CHECKING:
    from ..store import Store

__all__ = ["monitor"]


@click.group(epilog=examples("llmguard monitor status shop.tickets.triage --hours 24"))
def monitor() -> None:
    """What versions say, held against how they said it when they were promoted."""


monitor.add_command(backtest)


@monitor.command(
    epilog=examples("llmguard monitor status shop.tickets.triage --hours 24")
)
@click.argument("function", required=False)
@click.option(
    "--hours",
    type=click.IntRange(1, 9_600),
    default=24,
    show_default=True,
    help="Span.",
)
@json_option
@store_option
@env_option
def status(
    *,
    function: str | None,
    hours: int,
    as_json: bool,
    url: str | None,
    env: str | None,
) -> None:
    """Show each version's figures, its baseline, and its alarms.

    Exit code 1 when a version has raised an alarm in the span.
    """
    from ..monitor._figures import versions_of

    store, env = opened(url), env_of(env)
    now = time.time()
    versions = versions_of(store, env, function, since=now - hours * 3600)
    if as_json:
        emit_json(versions)
    elif not versions:
        click.echo(
            "nothing was watched: call `llmguard.monitor.start()` where the program "
            "starts"
        )
    else:
        rows: list[tuple[object, ...]] = [
            ("FUNCTION", "VERSION", "OUTPUTS", "FAILED", "CHARS", "BASELINE", "ALARMS")
        ]
        rows += [_line(version, now) for version in versions]
        click.echo(table(rows))
    if any(version["alarms"] for version in versions):
        raise SystemExit(1)


def _line(version: dict[str, Any], now: float) -> tuple[object, ...]:
    base = version["baseline"]
    answers = version["answers"]
    failed = answers - version["kinds"].get("ok", 0)
    chars = version["sizes"].get("chars", {})
    return (
        version["function"],
        version["pin"],
        version["outputs"],
        f"{failed / answers:.1%}" if answers else "-",
        f"{chars.get('p50', 0):.0f} / {chars.get('p95', 0):.0f}",
        "learning" if base is None else f"{age(now - base['frozen_at'])} old",
        _alarms(version["alarms"]),
    )


def _alarms(alarms: list[dict[str, Any]]) -> str:
    families = sorted({str(alarm.get("family", "?")) for alarm in alarms})
    return f"{len(alarms)}: {', '.join(families)}" if alarms else "none"


@monitor.command(
    epilog=examples(
        "llmguard monitor baseline",
        "llmguard monitor baseline shop.tickets.triage p-c2bb020ba1 --drop",
    )
)
@click.argument("function", required=False)
@click.argument("pin", required=False)
@click.option("--drop", is_flag=True, help="Forget it: the version is learnt anew.")
@click.option("--document", is_flag=True, help="Print the sealed document itself.")
@json_option
@store_option
@env_option
def baseline(
    *,
    function: str | None,
    pin: str | None,
    drop: bool,
    document: bool,
    as_json: bool,
    url: str | None,
    env: str | None,
) -> None:
    """List frozen baselines; with FUNCTION and PIN, show or drop one."""
    store, env = opened(url), env_of(env)
    if function is None or pin is None:
        if drop or document:
            raise click.UsageError("name the FUNCTION and the PIN")
        _list(store, env, function, as_json=as_json)
        return
    row = store.monitor.get_baseline(env, function, pin)
    if row is None:
        raise click.ClickException(
            f"{function!r} has no baseline of {pin!r} in {env!r}; "
            "`llmguard monitor baseline` lists those that there are"
        )
    if drop:
        store.monitor.drop_baseline(env, function, pin)
        if as_json:
            emit_json({"function": function, "pin": pin, "env": env, "dropped": True})
        else:
            click.echo(f"forgotten; the next outputs of {pin} are learnt anew")
    elif document:
        click.echo(row.body)
    else:
        _show(row.body, as_json=as_json)


def _list(store: Store, env: str, function: str | None, *, as_json: bool) -> None:
    rows = store.monitor.list_baselines(env, function=function)
    if as_json:
        emit_json(
            [
                {
                    "function": row.function,
                    "pin": row.pin,
                    "outputs": row.outputs,
                    "frozen_at": datetime.fromtimestamp(row.at, UTC).isoformat(),
                    "digest": row.digest,
                }
                for row in rows
            ]
        )
        return
    lines: list[tuple[object, ...]] = [("FUNCTION", "VERSION", "OUTPUTS", "DIGEST")]
    lines += [(row.function, row.pin, row.outputs, row.digest[:19]) for row in rows]
    click.echo(table(lines) if rows else "no version has a baseline yet")


def _show(body: str, *, as_json: bool) -> None:
    from ..monitor.drift import Baseline

    read = Baseline.from_json(body)
    rates = dict(zip(read.marks, (float(rate) for rate in read.rates), strict=True))
    means = dict(zip(read.measures, map(float, read.means), strict=True))
    if as_json:
        emit_json(
            {
                "function": read.function,
                "pin": read.pin,
                "outputs": read.outputs,
                "extractor": read.extractor,
                "thresholds": dict(read.thresholds),
                "per_10k": read.calibration.per_10k,
                "block": read.calibration.block,
                "lengths": list(read.lengths),
                "rates": rates,
                "means": means,
            }
        )
        return
    click.echo(
        f"{read.pin} of {read.function}: {read.outputs} outputs, at most "
        f"{read.calibration.per_10k:g} false alarms per 10,000; lengths (5, 25, 50, "
        f"75, 95 %): {', '.join(f'{each:.0f}' for each in read.lengths)}"
    )
    click.echo(table([(name, f"{rate:.1%}") for name, rate in rates.items() if rate]))
