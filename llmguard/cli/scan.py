"""`llmguard scan`: calls of models that no guard watches."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict
from typing import Final

import click

from ..scan import Finding, Unread
from ..scan import scan as look
from ._options import json_option
from ._text import counted, emit_json, examples

__all__ = ["scan"]

_FORMATS: Final = ("text", "json", "github")


@click.command(
    epilog=examples(
        "llmguard scan src", "llmguard scan src --exclude '*/tests/*' --format github"
    )
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True))
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Paths to leave out, such as 'tests/*'; may be repeated.",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="`github` makes annotations of a workflow.",
)
@json_option
def scan(
    paths: tuple[str, ...], exclude: tuple[str, ...], shape: str, as_json: bool
) -> None:
    """Find calls of models that are not guarded, or whose pin does not decide.

    Reads source code and runs none of it: calls through openai, anthropic, litellm,
    langchain, google-genai, mistralai, ollama and bedrock. Silence one with a comment
    on its line: `# llmguard: ignore REASON`.

    Exit code 1 when there are any, or when a file could not be read.
    """
    found = list(look(paths or (os.curdir,), exclude=exclude))
    findings = [each for each in found if isinstance(each, Finding)]
    unread = [each for each in found if isinstance(each, Unread)]
    if as_json or shape == "json":
        emit_json(
            {
                "findings": [
                    asdict(f) | {"message": f.message, "repair": f.repair}
                    for f in findings
                ],
                "unread": [asdict(each) for each in unread],
            }
        )
    elif shape == "github":
        _annotate(findings, unread)
    else:
        _print(findings, unread)
    if found:
        raise SystemExit(1)


def _print(findings: list[Finding], unread: list[Unread]) -> None:
    for each in findings:
        place = f"{each.path}:{each.line}:{each.column}"
        click.echo(f"{place}: {each.message}\n    {each.repair}")
    for missed in unread:
        click.echo(f"{missed.path}: not looked at: {missed.reason}")
    if not findings:
        click.echo("No unguarded call of a model was found.")
        return
    counts = Counter(each.why for each in findings)
    files = len({each.path for each in findings})
    parts = ", ".join(f"{n} {why}" for why, n in counts.most_common())
    calls = counted(len(findings), "call")
    click.echo(f"\n{calls} in {counted(files, 'file')}: {parts}")


def _annotate(findings: list[Finding], unread: list[Unread]) -> None:
    for each in findings:
        text = _escaped(f"{each.message}. {each.repair}")
        place = f"file={_escaped(each.path)},line={each.line},col={each.column}"
        click.echo(f"::error {place},title=llmguard {each.why}::{text}")
    for missed in unread:
        click.echo(f"::warning file={_escaped(missed.path)}::{_escaped(missed.reason)}")


def _escaped(text: str) -> str:
    for sign, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(sign, code)
    return text
