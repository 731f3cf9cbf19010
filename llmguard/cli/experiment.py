"""`llmguard experiment`: arms that share a route's traffic, and how they compare.

Exit codes: 0 done; 1 refused, or nothing known under that name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ._promotion import (
    Moment,
    Weight,
    env_of,
    env_option,
    json_option,
    maybe_lock,
    moment,
    open_there,
    refusing,
    store_option,
    who_options,
)
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..promotion.experiments import ArmReport, Estimate, ExperimentReport
    from ..store import Arm, Experiment, Store

__all__ = ["experiment"]


@click.group(epilog=examples("llmguard experiment list"))
def experiment() -> None:
    """Compare versions on live traffic: who gets which, and what came of it."""


class _ArmType(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """`NAME=PIN:SHARE`; PIN is `active` for whichever version is."""

    name = "arm"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        """Read an arm."""
        from ..store import Arm

        name, equals, rest = str(value).partition("=")
        pin, colon, share = rest.rpartition(":")
        if not (name and equals and pin and colon):
            self.fail(
                f"{value!r} is no arm; write NAME=PIN:SHARE, such as "
                "short=p-1a2b3c4d5e:50%, or control=active:50%",
                param,
                ctx,
            )
        weight = Weight().convert(share, param, ctx)
        return Arm(name=name, weight=weight, pin="" if pin == "active" else pin)


@experiment.command(
    epilog=examples(
        "llmguard experiment start tone --route triage \\\n"
        "      --arm a=active:50% --arm b=p-c2bb020ba1:50%"
    )
)
@click.argument("name")
@click.option("--route", help="The route whose calls are shared; for a new name.")
@click.option(
    "--arm",
    "arms",
    type=_ArmType(),
    multiple=True,
    required=True,
    help="NAME=PIN:SHARE, twice or more; PIN may be `active`.",
)
@click.option("--salt", default="", help="Mixes units; the name by default.")
@who_options
@env_option
@store_option
@json_option
def start(
    *,
    name: str,
    route: str | None,
    arms: tuple[Arm, ...],
    salt: str,
    actor: str,
    reason: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Start experiment NAME, or change its arms: each change is a row of its own."""
    from ..promotion._asking import default_actor
    from ..store import NewExperiment

    store = open_there(url)
    last = _last(store, env_of(env), name)
    if route is None and last is None:
        raise click.UsageError(f"experiment {name!r} is new: say `--route`")
    _check_pins(route or (last.route if last else ""), arms)
    with refusing():
        made = store.experiments.declare(
            NewExperiment(
                env=env_of(env),
                name=name,
                route=route or (last.route if last else ""),
                arms=arms,
                salt=salt or (last.salt if last else ""),
                base_version=last.version if last else 0,
                actor=actor or default_actor(),
                reason=reason,
            )
        )
    _print([made], as_json=as_json)


@experiment.command(
    epilog=examples("llmguard experiment stop tone --reason 'b is better'")
)
@click.argument("name")
@who_options
@env_option
@store_option
@json_option
def stop(
    *,
    name: str,
    actor: str,
    reason: str,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Stop experiment NAME: every call goes to the active version again."""
    from ..promotion._asking import default_actor
    from ..store import NewExperiment

    store = open_there(url)
    last = _last(store, env_of(env), name)
    if last is None:
        raise click.ClickException(
            f"no experiment {name!r} in environment {env_of(env)!r}: `llmguard "
            "experiment list` names those that there are"
        )
    with refusing():
        made = store.experiments.declare(
            NewExperiment(
                env=last.env,
                name=name,
                route=last.route,
                arms=last.arms,
                salt=last.salt,
                running=False,
                base_version=last.version,
                actor=actor or default_actor(),
                reason=reason,
            )
        )
    _print([made], as_json=as_json)


@experiment.command("list", epilog=examples("llmguard experiment list tone --json"))
@click.argument("name", required=False)
@env_option
@store_option
@json_option
def list_(*, name: str | None, env: str | None, url: str | None, as_json: bool) -> None:
    """List experiments, or every version of NAME with who changed what."""
    store = open_there(url)
    with refusing():
        if name is None:
            found = store.experiments.latest(env_of(env))
        else:
            found = store.experiments.history(env_of(env), name)
    _print(list(found), as_json=as_json)


@experiment.command(epilog=examples("llmguard experiment report tone --since 7d"))
@click.argument("name", metavar="NAME|ROUTE")
@click.option("--since", type=Moment(), default=None, help="2h, 3d, ISO; by the hour.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    show_default=True,
    help="Of each interval.",
)
@click.option("--prices", "prices_file", help="US dollars per token; see suites.")
@env_option
@store_option
@json_option
def report(
    *,
    name: str,
    since: float | None,
    confidence: float,
    prices_file: str | None,
    env: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Compare the arms of experiment NAME, or the canary of ROUTE with the rest."""
    from ..promotion.experiments import compare_arms

    store = open_there(url)
    lock = maybe_lock()
    with refusing():
        prices = None
        if prices_file is not None:
            from ..suite._prices import read_prices

            prices = read_prices(prices_file)
        found = compare_arms(
            store=store,
            env=env_of(env),
            name=_named(store, env_of(env), name),
            since=since or 0.0,
            confidence=confidence,
            prices=prices,
            pins=lock.pins if lock else None,
        )
    if as_json:
        emit_json(asdict(found))
    else:
        click.echo("\n".join(_lines(found)))


def _last(store: Store, env: str, name: str) -> Experiment | None:
    history = store.experiments.history(env, name)
    return history[-1] if history else None


def _check_pins(route: str, arms: tuple[Arm, ...]) -> None:
    """Refuse arms that the lock does not allow, where there is a lock."""
    lock = maybe_lock()
    allowed = lock.routes.get(route) if lock else None
    if lock is None:
        click.echo("no models.lock here: route and pins were not checked", err=True)
        return
    if allowed is None:
        known = ", ".join(lock.routes) or "none"
        raise click.ClickException(
            f"models.lock has no route {route!r} (known: {known})"
        )
    for arm in arms:
        if arm.pin and arm.pin not in allowed.allowed:
            raise click.ClickException(
                f"arm {arm.name!r}: models.lock does not allow pin {arm.pin!r} on "
                f"route {route!r} (allowed: {', '.join(allowed.allowed)})"
            )


def _named(store: Store, env: str, name: str) -> str:
    """Return what a name means: an experiment, else the canary of a route."""
    if store.experiments.history(env, name):
        return name
    canary = store.ledger.route_state(env, name).canary
    return f"canary:{canary[0]}" if canary else name


def _print(found: list[Experiment], *, as_json: bool) -> None:
    if as_json:
        emit_json([asdict(one) | {"time": moment(one.at)} for one in found])
        return
    rows: list[tuple[object, ...]] = []
    for one in found:
        arms = ", ".join(
            f"{arm.name} {arm.weight / 100:g} % {arm.pin or 'active'}"
            for arm in one.arms
        )
        state = "runs" if one.running else "stopped"
        who = f"{moment(one.at)} by {one.actor}"
        why = f": {one.reason}" if one.reason else ""
        rows.append(
            (one.name, f"v{one.version}", one.route, state, arms, f"{who}{why}")
        )
    click.echo(table(rows, indent=0) or "no experiments")


def _lines(found: ExperimentReport) -> Iterator[str]:
    since = f" since {moment(found.since)}" if found.since else ""
    yield f"{found.name} [{found.env}]{since}, {found.confidence:.0%} intervals"
    head = (
        "arm",
        "calls",
        "units",
        "valid",
        "p50",
        "p95",
        "tokens",
        "cost",
        "corrected",
    )
    rows: list[tuple[object, ...]] = [head]
    rows += [_row(arm) for arm in found.arms]
    yield table(rows)
    for one in found.comparisons:
        yield f"  {one.arm} against {one.base}: {_versus('valid', one.valid)}"
        if one.corrected is not None:
            told = _versus("corrected", one.corrected)
            yield f"  {one.arm} against {one.base}: {told}"
    for note in found.notes:
        yield f"  - {note}"


def _row(arm: ArmReport) -> tuple[object, ...]:
    tokens = "-"
    if arm.input_tokens and arm.output_tokens:
        tokens = f"{arm.input_tokens.value:.0f}+{arm.output_tokens.value:.0f}"
    return (
        arm.arm,
        arm.calls,
        arm.units,
        _percent(arm.valid),
        _seconds(arm.p50),
        _seconds(arm.p95),
        tokens,
        "-" if arm.cost is None else f"${arm.cost.value:.6f}",
        _percent(arm.corrected),
    )


def _percent(one: Estimate | None) -> str:
    if one is None:
        return "-"
    return f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})"


def _seconds(one: Estimate | None) -> str:
    if one is None:
        return "-"
    value, low, high = (1e3 * each for each in (one.value, one.low, one.high))
    return f"{value:.3g} ms ({low:.3g} to {high:.3g})"


def _versus(what: str, one: Estimate | None) -> str:
    if one is None:
        return f"{what}: too little is known"
    verdict = "no difference is shown"
    if one.low > 0 or one.high < 0:
        verdict = "higher" if one.low > 0 else "lower"
    return f"{what} {one.value:+.2%} ({one.low:+.2%} to {one.high:+.2%}): {verdict}"
