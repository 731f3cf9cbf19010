"""`llmguard suite power`: calls needed and what can be seen, before spending money."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from ._options import json_option
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..suite import Suite
    from ..suite.stats import Power
    from ..suite.stats._power import RulePower
    from ..suite.stats._simulate import Expectation

__all__ = ["expected", "power_command"]

_QUICK = 8
_BIG = 20_000
"""Simulated calls beyond which a forecast is not worth its time."""


@click.command("power", epilog=examples("llmguard suite power triage --runs 500"))
@click.argument("name")
@click.option(
    "--runs",
    default=40,
    show_default=True,
    type=click.IntRange(min=1),
    help="Suites simulated per scenario.",
)
@click.option("--seed", default=0, show_default=True, help="Of the simulation.")
@click.option("--baseline", is_flag=True, help="A journal stands in for the incumbent.")
@json_option
def power_command(
    *, name: str, runs: int, seed: int, baseline: bool, as_json: bool
) -> None:
    """Say how many calls suite NAME takes, and which failure rates it can see.

    By closed form and by simulation of the very decision; nobody is called.
    """
    from ..suite import find_suite

    suite = find_suite(name)
    suite.validate()
    found = _power(suite, runs=runs, seed=seed, recorded=baseline)
    if as_json:
        emit_json(dataclasses.asdict(found))
    else:
        click.echo(_text(suite, found))


def _power(
    suite: Suite,
    *,
    runs: int,
    seed: int = 0,
    recorded: bool = False,
    quick: bool = False,
) -> Power:
    from ..suite._tally import rules_of
    from ..suite.stats import power, scenarios_for

    rules = rules_of(suite)
    return power(
        rules,
        cases=len(suite.cases),
        alpha=suite.alpha,
        beta=suite.beta,
        min_rounds=suite.min_rounds,
        n_min=suite.n_min,
        cap=suite.cap,
        scenarios=scenarios_for(rules)[:2] if quick else None,
        runs=runs,
        seed=seed,
        recorded=recorded,
    )


def expected(
    suite: Suite, *, paired: bool, recorded: bool, max_calls: int | None = None
) -> str:
    """Return in one or two lines what a run is going to take."""
    arms = 2 if paired and not recorded else 1
    most = arms * suite.cap * len(suite.cases)
    claims = len(suite.assertions)
    lines = [
        f"{suite.name}: {len(suite.cases)} cases, {claims} "
        f"assertion{'s' * (claims != 1)}, at most {most} calls"
        + (f", limited to {max_calls}" if max_calls else "")
    ]
    if suite.min_rounds * len(suite.cases) * len(suite.assertions) <= _BIG // _QUICK:
        found = _power(suite, runs=_QUICK, recorded=recorded, quick=True)
        ends = [
            f"{round(one.mean)} calls if it is {one.scenario}"
            for one in found.scenarios
        ]
        lines.append(f"  expected: {', '.join(ends)}")
    return "\n".join(lines)


def _text(suite: Suite, found: Power) -> str:
    arms = f", {found.arms} arms" if found.arms > 1 else ""
    runs: list[tuple[object, ...]] = [
        ("if the version is", "mean calls", "median", "9 in 10", "ends in")
    ]
    runs += [
        (one.scenario, round(one.mean), one.median, one.p90, _ends(one))
        for one in found.scenarios
    ]
    rules: list[tuple[object, ...]] = [
        ("assertion", "accepts after", "blocks after", "fixed n", "sees")
    ]
    rules += [_rule(one) for one in found.rules]
    lines = [
        f"{suite.name}: {found.cases} cases{arms}, at most {found.most_calls} calls;",
        f"asking every case 50 times would take {found.fixed_calls}",
        "",
        table(runs),
        "",
        table(rules),
        "",
        "`accepts after`: calls of a version that never fails; `blocks after`: of one",
        "that always does; `fixed n`: of a plan with one look and the same errors",
    ]
    return "\n".join(lines)


def _ends(one: Expectation) -> str:
    shares = one.verdicts.items()
    return ", ".join(f"{verdict} {share:.0%}" for verdict, share in shares if share)


def _rule(one: RulePower) -> tuple[object, ...]:
    single = one.single_prompt
    return (
        one.rule.name,
        "never" if one.accept_calls is None else one.accept_calls,
        "never" if one.block_failures is None else one.block_failures,
        "-" if one.fixed is None else one.fixed.n,
        "" if single is None else f"one case failing {single:.0%} of the time",
    )
