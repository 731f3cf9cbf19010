"""Where the report of a suite goes: the terminal, JSON, and files for others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ._options import json_option

if TYPE_CHECKING:
    from ..suite import Report

__all__ = ["emit", "output_options"]

F = TypeVar("F", bound=Callable[..., Any])

_FILES: Final = {
    "junit": "JUnit XML, one test per assertion.",
    "markdown": "Markdown, for a comment on a pull request.",
    "html": "A page of its own, with plots.",
}


def output_options(function: F) -> F:
    """Add the options that `emit` takes."""
    path = click.Path(dir_okay=False, path_type=Path)
    for name, what in reversed(_FILES.items()):
        function = click.option(f"--{name}", type=path, help=f"Write: {what}")(function)
    return json_option(function)


def emit(report: Report, *, as_json: bool, **files: Path | None) -> None:
    """Print a report, write the files, and exit with the verdict's code."""
    from ..suite import render

    for name, path in files.items():
        if path is not None:
            write: Callable[[Report], str] = getattr(render, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(write(report), encoding="utf-8")
    click.echo((render.json if as_json else render.text)(report))
    raise SystemExit(report.verdict.exit_code)
