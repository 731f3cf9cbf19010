"""Small helpers for what the commands print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import click

from ..clock import age

__all__ = ["age", "emit_json", "table"]


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


def emit_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))
