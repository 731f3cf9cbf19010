"""`llmguard pin probe`: whether a version still answers as it did.

Exit codes: 0 the same, or a baseline was recorded; 1 changed, or it did not answer.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..pins import load_lock, rules_of
from ._promotion import env_of, env_option, json_option, open_there, store_option
from ._text import emit_json, examples

if TYPE_CHECKING:
    from ..adapters.probes import ProbeResult
    from ..pins import Pin, ProbeRules

__all__ = ["probe"]


@click.command("probe", epilog=examples("llmguard pin probe triage"))
@click.argument("target", metavar="ROUTE|PIN")
@click.option("--renew", is_flag=True, help="Record a new baseline.")
@env_option
@store_option
@json_option
def probe(
    *, target: str, renew: bool, env: str | None, url: str | None, as_json: bool
) -> None:
    """Ask the active pin of ROUTE, or PIN, its route's probes, and compare.

    The first time it records a baseline. The prompts are in the settings:
    `[tool.llmguard.routes.ROUTE.probes]`, `prompts = [...]`.
    """
    from ..adapters.probes import probe as ask

    store = open_there(url)
    pin = _pin(target, store.ledger.route_state(env_of(env), target).active)
    rules = _rules(pin)
    found = ask(store=store, pin=pin, rules=rules, env=env_of(env), renew=renew)
    if as_json:
        emit_json(asdict(found))
    else:
        click.echo(_told(found, rules))
    if found.status in {"changed", "failed"}:
        raise SystemExit(1)


def _pin(target: str, active: str | None) -> Pin:
    lock = load_lock()
    if target in lock.pins:
        return lock.pins[target]
    declared = lock.resolve(target)
    return lock.pins.get(active or "", declared)


def _rules(pin: Pin) -> ProbeRules:
    rules = rules_of(pin.route).probes
    if rules is None:
        raise click.ClickException(
            f"route {pin.route!r} has no probes; add to pyproject.toml:\n"
            f"[tool.llmguard.routes.{pin.route}.probes]\n"
            'prompts = ["...", "..."]\ndraws = 10\nevery = "1d"'
        )
    return rules


def _told(found: ProbeResult, rules: ProbeRules) -> str:
    asked = f"{len(rules.prompts)} prompts, {found.calls} calls"
    where = f"{found.route} {found.pin}"
    if found.status == "baseline":
        return f"{where}: baseline recorded ({asked}), {found.baseline[:19]}"
    if found.status == "failed":
        return f"{where}: no answer: {found.detail}"
    p = 1.0 if found.p is None else found.p
    if found.status == "same":
        return f"{where}: no change is shown (p = {p:.3g}; {asked})"
    return (
        f"{where}: it answers otherwise than its baseline, twice "
        f"(p = {p:.3g}; {asked})\n  look at its answers with a suite; if the change "
        f"is meant, `llmguard pin probe {found.pin} --renew`"
    )
