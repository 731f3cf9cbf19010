"""`llmguard init`: what a project needs, shown before it is written."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from ._init_plan import CI, Step, apply, plan
from ._text import emit_json, examples

__all__ = ["init"]

_MARKS = {"create": "+", "append": "~", "keep": " "}


@click.command(
    epilog=examples("llmguard init --example", "llmguard init --ci github --dry-run")
)
@click.argument(
    "folder",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--ci",
    type=click.Choice(["github", "shell", "none"]),
    default="github",
    show_default=True,
    help="For which pipeline the gate is written.",
)
@click.option("--example/--no-example", default=True, help="An example suite.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, whole.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON; asks nothing.")
def init(
    *, folder: Path, ci: CI, example: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Set up a project: settings, a lock, an example suite, a gate in CI.

    Shows what it will do and asks. Existing files are never overwritten: two get a few
    lines at their end, the others are left alone.

    Exit code 1 when the answer was no.
    """
    root = folder.resolve()
    steps = plan(root, ci=ci, example=example)
    todo = [step for step in steps if step.do != "keep"]
    if as_json:
        emit_json({"root": str(root), "steps": [asdict(step) for step in steps]})
        if yes and not dry_run:
            apply(root, todo)
        return
    click.echo(f"In {root}:")
    for step in steps:
        _show(step, whole=dry_run)
    if not todo:
        click.echo("Nothing to do.")
        return
    if dry_run:
        return
    if not yes and not _agreed():
        click.echo("Nothing was written.")
        raise SystemExit(1)
    apply(root, todo)
    click.echo(_next(todo, example=example))


def _agreed() -> bool:
    try:
        return click.confirm("Write this?", default=True)
    except click.Abort:
        if sys.stdin.isatty():  # somebody pressed Ctrl-C
            raise
        click.echo("\nThere is nobody to ask; `--yes` writes at once.", err=True)
        return False


def _show(step: Step, *, whole: bool) -> None:
    click.echo(f"  {_MARKS[step.do]} {step.path:36} {step.do:6} {step.why}")
    if whole and step.text:
        lines = step.text.splitlines()
        shown = lines if len(lines) <= 60 else [*lines[:8], f"... {len(lines)} lines"]  # noqa: PLR2004 - a screen
        for line in shown:
            click.echo(f"      | {line}")


def _next(done: list[Step], *, example: bool) -> str:
    lines = [f"{len(done)} files written. Next:"]
    if example:
        lines.append(
            "  llmguard suite run suites/example.toml --candidate example"
            "   (needs no key; `pip install 'llmguard-toolkit[suite]'`)"
        )
    lines.append("  llmguard scan   (calls of models in this project, to guard)")
    lines.append("  llmguard pin add ROUTE --provider openai --model MODEL")
    return "\n".join(lines)
