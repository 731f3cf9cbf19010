"""`llmguard slo`: what functions owe, where they stand, and rules for Prometheus."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from ..store import Store, open_store, store_exists, store_name
from ._options import env_of, env_option, json_option, store_option
from ._text import age, emit_json, examples, table

if TYPE_CHECKING:
    from ..monitor.slo import SloStatus
    from ..monitor.slo._status import VersionStatus
    from ..monitor.slo._week import SloWeek
    from ..telemetry.objectives import Objective

__all__ = ["slo"]


@click.group(epilog=examples("llmguard slo status"))
def slo() -> None:
    """Behavioural objectives: what share of a function's calls must be good.

    They are declared beside the contract (`@contract(..., slos=[...])`) or as OpenSLO
    documents named by the setting `slos`. What programs have declared is in the store.
    """


def _open(url: str | None) -> Store:
    if not store_exists(url):
        raise click.ClickException(
            f"no store at {store_name(url)} yet: a guarded function with objectives "
            "records there once it is called; `--store` names another"
        )
    return open_store(url)


@slo.command("list", epilog=examples("llmguard slo list --json"))
@store_option
@env_option
@json_option
def list_(url: str | None, env: str | None, as_json: bool) -> None:
    """List what every function owes."""
    from ..monitor.slo import objectives_of

    found = objectives_of(_open(url), env_of(env))
    if as_json:
        emit_json(
            [
                {"function": function, **one.document(), "sentence": one.sentence()}
                for function, objectives in found.items()
                for one in objectives
            ]
        )
        return
    rows = [
        (function, one.name, one.owner or "-", one.sentence())
        for function, objectives in sorted(found.items())
        for one in objectives
    ]
    if not rows:
        click.echo(
            "no objective is declared: write `@contract(Answer, "
            "slos=[slo.schema_valid(0.995)])` and call the function"
        )
        return
    click.echo(table([("FUNCTION", "NAME", "OWNER", "OWES"), *rows], indent=0))


@slo.command(epilog=examples("llmguard slo status shop.tickets.triage"))
@click.argument("functions", nargs=-1)
@store_option
@env_option
@json_option
def status(
    functions: tuple[str, ...], url: str | None, env: str | None, as_json: bool
) -> None:
    """Show attainment, error budget and burn rates, in all and per version.

    FUNCTIONS are qualified names or their ends; all without any. Exit code 1 when a
    burn-rate rule fires or a budget is spent.
    """
    from ..monitor.slo import statuses

    found = statuses(_open(url), env_of(env), now=time.time(), functions=functions)
    if as_json:
        emit_json([one.document() for one in found])
    elif not found:
        where = "for that; see `llmguard slo list`" if functions else "yet"
        click.echo(f"no objective is declared {where}: `@contract(..., slos=[...])`")
    else:
        click.echo("\n\n".join(_shown(one) for one in found))
    if any(one.word in {"firing", "spent"} for one in found):
        raise SystemExit(1)


def _shown(one: SloStatus) -> str:
    head = f"{one.function}  {one.objective.name}: {one.word.upper()}"
    rows = [
        ("version", "good / events", "share", "95 % interval", "error budget", "burns"),
        *[_version(each, "all") for each in (one.overall, *one.versions)],
    ]
    lines = [head, f"  owes {one.objective.sentence()}", table(rows)]
    firing = [each for each in one.versions if each.firing is not None]
    if not firing and one.overall.firing is not None:
        firing = [one.overall]
    lines += [f"  {each.pin or 'all'}: {_firing(each)}" for each in firing]
    return "\n".join(lines)


def _version(one: VersionStatus, empty: str) -> tuple[str, ...]:
    burns = [f"{window} {rate:.1f}x" for window, rate in one.burns.items() if rate]
    if one.share is None:
        return (one.pin or empty, "0 / 0", "-", "-", "-", "")
    return (
        one.pin or empty,
        f"{one.good} / {one.total}",
        f"{100 * one.share:.3f} %",
        f"{100 * one.low:.2f} - {100 * one.high:.2f} %",
        one.budget_words,
        ", ".join(burns),
    )


def _firing(one: VersionStatus) -> str:
    firing = one.firing
    if firing is None:
        return ""
    for_ = age(time.time() - firing.since)
    return (
        f"{firing.rule.severity.upper()}, burns {firing.long_burn:.1f}x and "
        f"{firing.short_burn:.1f}x over {firing.rule.words}; {firing.bad} of "
        f"{firing.total} bad, since {for_}"
    )


@slo.command(epilog=examples("llmguard slo report --weekly"))
@click.option("--weekly", is_flag=True, help="The last seven days; the only period.")
@store_option
@env_option
@json_option
def report(weekly: bool, url: str | None, env: str | None, as_json: bool) -> None:
    """Write the weekly review: attainment, causes, alerts, as Markdown."""
    from ..monitor.slo._week import weeks

    if not weekly:
        raise click.UsageError("say `--weekly`: it is the only period there is")
    found = weeks(_open(url), env_of(env), now=time.time())
    if as_json:
        emit_json([one.document() for one in found])
        return
    click.echo("# Objectives of the last seven days\n")
    click.echo("\n\n".join(_week(one) for one in found) or "No objective is declared.")


def _week(one: SloWeek) -> str:
    from ..monitor.slo._words import week_markdown

    return week_markdown(one)


@slo.command(epilog=examples("llmguard slo export --prometheus"))
@click.option("--openslo", "form", flag_value="openslo", help="OpenSLO v1 documents.")
@click.option(
    "--prometheus", "form", flag_value="prometheus", help="Recording and alert rules."
)
@click.option(
    "--module",
    "modules",
    multiple=True,
    help="Import this module and take what it declares, instead of the store's.",
)
@store_option
@env_option
@json_option
def export(
    form: str | None,
    modules: tuple[str, ...],
    url: str | None,
    env: str | None,
    as_json: bool,
) -> None:
    """Print the objectives for other tools, as YAML or JSON.

    `promtool check rules FILE` says that Prometheus takes the rules.
    """
    from ..monitor.slo import to_openslo, to_prometheus
    from ..monitor.slo._yaml import dump

    if form is None:
        raise click.UsageError("say `--openslo` or `--prometheus`")
    found = _declared(modules) if modules else _stored(url, env)
    if not found:
        raise click.ClickException("no objective is declared; see `llmguard slo list`")
    if form == "prometheus":
        rules = to_prometheus(found)
        if as_json:
            emit_json(rules)
        else:
            click.echo(dump(rules), nl=False)
        return
    documents = [to_openslo(function, one) for function, one in found]
    if as_json:
        emit_json(documents)
    else:
        click.echo("---\n".join(dump(one) for one in documents), nl=False)


def _stored(url: str | None, env: str | None) -> list[tuple[str, Objective]]:
    from ..monitor.slo import objectives_of

    found = objectives_of(_open(url), env_of(env))
    return [(function, one) for function, mine in found.items() for one in mine]


def _declared(modules: tuple[str, ...]) -> list[tuple[str, Objective]]:
    from ..monitor.slo._openslo import declare_settings
    from ..telemetry.objectives import declared

    sys.path.insert(0, str(Path.cwd()))
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"module {name!r} cannot be imported ({error}); run this where "
                f"`python -c 'import {name}'` works"
            ) from error
    declare_settings()
    return [(name, one) for name, mine in sorted(declared().items()) for one in mine]


@slo.command(epilog=examples("llmguard slo forget shop.tickets.triage valid"))
@click.argument("function")
@click.argument("name")
@store_option
@env_option
@json_option
def forget(
    function: str, name: str, url: str | None, env: str | None, *, as_json: bool
) -> None:
    """Forget an objective that no program declares any more; its counts stay."""
    if not _open(url).counts.drop_objective(env_of(env), function, name):
        raise click.ClickException(
            f"`{function}` has no objective {name!r}; see `llmguard slo list`"
        )
    if as_json:
        emit_json({"function": function, "objective": name, "forgotten": True})
    else:
        click.echo(f"{function} no longer owes {name}")


@slo.command(epilog=examples("llmguard slo watch --once"))
@click.option("--once", is_flag=True, help="Look once; exit code 1 when a rule fires.")
@store_option
@env_option
@json_option
def watch(once: bool, url: str | None, env: str | None, as_json: bool) -> None:
    """Look at the burn rates twice a minute and send alerts (setting `alerts`).

    Programs that import `llmguard.slo` do so themselves; this is for those that
    do not, and for a cron job (`--once`).
    """
    from ..monitor import alerts
    from ..monitor.slo import look
    from ..monitor.slo._watch import PERIOD

    store = _open(url)
    alerts.use_store(store)
    while True:
        found = look(store, env_of(env), now=time.time())
        firing = [alert for alert in found if not alert.resolved]
        for alert in found:
            if alerts.send(alert) and not alert.resolved and not as_json:
                click.echo(alert.text())
        alerts.flush()
        if as_json:
            emit_json([alert.document() for alert in firing])
        if once:
            _end(firing)
        time.sleep(PERIOD)


def _end(firing: list[Any]) -> None:
    raise SystemExit(1 if firing else 0)
