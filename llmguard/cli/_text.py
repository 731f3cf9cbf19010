"""Small helpers for what the commands print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import click

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


def age(seconds: float) -> str:
    """Return a span as one unit: `4s`, `12m`, `3h`, `2d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def emit_json(document: object) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, indent=2, sort_keys=True, default=str))
