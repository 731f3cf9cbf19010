"""`llmguard doctor`: what is missing here, and the one command that repairs each."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import click

from .. import config
from ..errors import LLMGuardError
from ._checks import Finding, check_all
from ._options import json_option
from ._text import emit_json, examples, table

__all__ = ["doctor"]

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command(epilog=examples("llmguard doctor", "llmguard doctor shop.tickets"))
@click.argument("modules", nargs=-1)
@json_option
def doctor(modules: tuple[str, ...], as_json: bool) -> None:
    """Say what this project lacks, and what repairs it.

    Checks settings, lock, store, extras, weights, and the tiers of every guarded
    function in MODULES (such as `myapp.triage`). Exit code 1 when something fails,
    0 when all is well or only warned about.
    """
    findings = [*_import_all(modules), *check_all()]
    if as_json:
        emit_json([finding.document() for finding in findings])
    else:
        _print(findings, listed=bool(modules))
    if any(finding.level == "fail" for finding in findings):
        raise SystemExit(1)


def _import_all(modules: tuple[str, ...]) -> list[Finding]:
    places = [str(Path.cwd())]
    with suppress(LLMGuardError):  # wrong settings are a finding of their own
        places.append(str(config.load().root))
    for place in places:
        if place not in sys.path:
            sys.path.insert(0, place)
    found: list[Finding] = []
    for name in modules:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            repair = f"run it where `python -c 'import {name}'` works"
            found.append(Finding("fail", f"module {name}", str(error), repair))
        except LLMGuardError as error:
            found.append(Finding("fail", f"module {name}", str(error), ""))
        except Exception as error:  # noqa: BLE001 - the user's module may raise anything
            found.append(Finding("fail", f"module {name}", repr(error), ""))
    return found


def _print(findings: list[Finding], *, listed: bool) -> None:
    click.echo(table(((_MARKS[f.level], f.what, f.detail) for f in findings), indent=0))
    repairs = [f for f in findings if f.repair and f.level != "ok"]
    if repairs:
        click.echo("\nRepairs")
        click.echo("\n".join(f"  {f.what}: {f.repair}" for f in repairs))
    if not listed:
        click.echo(
            "\nName your modules to check their functions: `llmguard doctor myapp.llm`"
        )
