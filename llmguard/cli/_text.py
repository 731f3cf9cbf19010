"""Small helpers that the commands share: options, examples, tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import click

from ..clock import age

__all__ = [
    "Share",
    "age",
    "counted",
    "emit_json",
    "examples",
    "store_of_group",
    "table",
]


class Share(click.ParamType):  # type: ignore[type-arg] # pyright: ignore[reportMissingTypeArgument] - not generic before click 8.2
    """A share: `5%` or `0.05`; a bare number above 1 may mean either, so it is none."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return a share from 0 to 1."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+) ?(%?)", str(value).strip())
        share = float(found[1]) / (100 if found[2] else 1) if found else 2.0
        if share <= 1:
            return share
        return self.fail(f"{value!r} is no share; write 5% or 0.05", param, ctx)


def _use(ctx: click.Context, param: click.Parameter, url: str | None) -> None:
    del param
    ctx.obj = url or ctx.obj


store_of_group = click.option(
    "--store",
    expose_value=False,
    callback=_use,
    help="Store path or URL; the configured one by default.",
)
"""`--store` of a command that gets the store's URL from its group, by `pass_obj`."""


def examples(*commands: str, after: str = "") -> str:
    """Return the last part of a command's help; a test parses what it shows.

    Args:
        *commands: Whole command lines.
        after: A paragraph that stands before them.
    """
    block = "\n".join(("\b", "Examples:", *(f"  {each}" for each in commands)))
    return f"{after}\n\n{block}" if after else block


def table(rows: Iterable[Sequence[object]], *, indent: int = 2) -> str:
    """Return rows as aligned columns; the last column may be of any length."""
    texts = [[str(cell) for cell in row] for row in rows]
    if not texts:
        return ""
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]) - 1)]
    pad = " " * indent
    return "\n".join(
        pad
        + "  ".join(
            [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
            + [row[-1]]
        ).rstrip()
        for row in texts
    )


def counted(number: int, one: str, more: str = "") -> str:
    """Return a number with its noun: `1 pin`, `2 pins`, `0 entries`."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def emit_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))
