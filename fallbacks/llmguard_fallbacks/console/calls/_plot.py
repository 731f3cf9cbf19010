"""The attempts of one call as bars on its time."""

from __future__ import annotations

from html import escape
from typing import Final

from markupsafe import Markup

from .._axes import seconds
from .._svg import image
from ._read import CallView

__all__ = ["attempts_plot"]

_WIDTH: Final = 900
_LEFT: Final = 150
_ROW: Final = 26
_GOOD: Final = {"ok": "good"}
_NOT_TRIED: Final = frozenset({"skipped", "open"})


def attempts_plot(found: CallView) -> Markup:
    """Return the plot: a bar for each attempt, below each other."""
    parts: list[str] = []
    inner = _WIDTH - _LEFT - 150
    for row, one in enumerate(found.attempts):
        y = 6 + _ROW * row
        css = _GOOD.get(one.kind, "none" if one.kind in _NOT_TRIED else "bad")
        left, width = _LEFT + inner * one.left, max(inner * one.width, 3.0)
        took = f"{one.kind} after {seconds(one.elapsed)}"
        name = escape(one.tier if len(one.tier) < 20 else f"{one.tier[:19]}\u2026")  # noqa: PLR2004 - fits the margin
        again = f" #{one.number}" if one.number > 1 else ""
        parts.append(
            f'<text class="name" x="0" y="{y + 14}">{name}{again}</text>'
            f'<g class="bar {css}"><title>{escape(took)}</title>'
            f'<rect x="{left:.1f}" y="{y + 3}" width="{width:.1f}" height="15" rx="3"/>'
            f'</g><text x="{left + width + 6:.1f}" y="{y + 14}">{escape(took)}</text>'
        )
    told = "; ".join(f"{one.tier}: {one.kind}" for one in found.attempts)
    return image(
        _WIDTH,
        12 + _ROW * max(len(found.attempts), 1),
        f"Attempts of call {found.row.id}",
        told or "nothing was tried",
        parts,
        css="chart timeline",
    )
