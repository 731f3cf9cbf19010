"""`llmguard suite list` and `show`: what is declared, and what was found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError
from ._options import json_option
from ._text import emit_json, examples, table

if TYPE_CHECKING:
    from ..suite import Assertion, Suite

__all__ = ["list_command", "show_command"]


@click.command("list", epilog=examples("llmguard suite list --json"))
@json_option
def list_command(*, as_json: bool) -> None:
    """List the suites that `[tool.llmguard] suites` leads to."""
    from ..suite import all_suites

    suites = all_suites()
    if as_json:
        emit_json([_summary(each) for each in suites])
        return
    if not suites:
        raise ConfigError(
            "no suites are declared: write `suites = ['suites/*.toml', 'myapp.llm']` "
            "under `[tool.llmguard]` in pyproject.toml"
        )
    rows: list[tuple[object, ...]] = [
        ("suite", "function", "cases", "assertions", "owner")
    ]
    rows += [
        (
            each.name,
            each.function_name,
            len(each.cases),
            len(each.assertions),
            each.owner,
        )
        for each in suites
    ]
    click.echo(table(rows, indent=0))


def _summary(each: Suite) -> dict[str, Any]:
    return {
        "name": each.name,
        "function": each.function_name,
        "source": each.source,
        "digest": each.digest,
        "cases": len(each.cases),
        "owner": each.owner,
        "alpha": each.alpha,
        "beta": each.beta,
        "scope": each.scope,
        "assertions": [
            {
                "name": one.name,
                "kind": one.kind,
                "tolerate": one.tolerate,
                "unacceptable": one.unacceptable,
                "relative": one.relative,
                "per_prompt": one.per_prompt,
                "gating": one.gating,
                "detector": one.detector,
                "cases": len(each.cases_of(one)),
            }
            for one in each.assertions
        ],
    }


@click.command("show", epilog=examples("llmguard suite show triage"))
@click.argument("what")
@json_option
def show_command(*, what: str, as_json: bool) -> None:
    """Show a suite, a report (a JSON file of `run --json`) or kept evidence.

    WHAT is the name of a suite, its file or `module:function`; a `.json` file; or
    `sha256:...`, as reports name their evidence.
    """
    if what.startswith("sha256:"):
        click.echo(_evidence(what))
    elif what.endswith(".json"):
        _show_report(Path(what), as_json=as_json)
    else:
        _show_suite(what, as_json=as_json)


def _show_report(path: Path, *, as_json: bool) -> None:
    from ..suite import render

    report = render.load(path.read_text(encoding="utf-8"))
    click.echo((render.json if as_json else render.text)(report))


def _evidence(digest: str) -> str:
    from ..store import open_store

    row = open_store().get_evidence(digest)
    if row is None:
        raise ConfigError(
            f"the store holds no evidence {digest!r}; `llmguard suite run` keeps some "
            "and its report names it"
        )
    return row.body


def _show_suite(what: str, *, as_json: bool) -> None:
    from ..suite import find_suite

    suite = find_suite(what)
    suite.validate()
    if as_json:
        emit_json(_summary(suite))
        return
    click.echo(f"{suite.name}: {suite.function_name}, {len(suite.cases)} cases")
    click.echo(f"digest {suite.digest}")
    counts = Counter(case.slice for case in suite.cases if case.slice)
    if counts:
        shown = ", ".join(f"{name} {n}" for name, n in counts.most_common())
        click.echo(f"slices {shown}")
    rows: list[tuple[object, ...]] = [
        ("assertion", "cases", "tolerate", "unacceptable", "what")
    ]
    rows += [_row(suite, one) for one in suite.assertions]
    click.echo("\n" + table(rows))
    for note in suite.notes:
        click.echo(f"note: {note}")


def _row(suite: Suite, one: Assertion) -> tuple[object, ...]:
    words = [one.kind]
    words += ["margin over the incumbent"] * one.relative
    words += ["each case by itself"] * one.per_prompt
    words += ["does not gate"] * (not one.gating)
    words += [one.detector] * bool(one.detector)
    return (
        one.name,
        len(suite.cases_of(one)),
        f"{100 * one.tolerate:.3g} %",
        f"{100 * one.unacceptable:.3g} %",
        ", ".join(words),
    )
