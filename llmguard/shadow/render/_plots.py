"""The plots of a report as inline SVG: where rates and differences lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from .._estimate import Estimate
from .._rates import Rates
from .._words import percent
from ._lines import share, shift

__all__ = ["rates_plot", "strip"]

_W: Final = 560
_ROW: Final = 30
_LEFT: Final = 150
_RIGHT: Final = 20
_BOTTOM: Final = 24
_STRIP_W: Final = 220
_STRIP_H: Final = 22


def rates_plot(rates: Rates, *, limit: float) -> str:
    """Return all rates of the headline with their intervals on one scale.

    Args:
        rates: The rates.
        limit: Excess above which there is an alarm; drawn as a line.
    """
    rows: list[tuple[str, Estimate, str]] = [
        (name, found, css)
        for name, found, css in (
            ("raw: A against B", rates.raw, "raw"),
            ("floor: A against A\u2032", rates.floor_a, "noise"),
            ("floor: B against B\u2032", rates.floor_b, "noise"),
            ("net", rates.net, "beyond"),
            ("excess", rates.excess, "beyond"),
        )
        if found is not None
    ]
    if not rows:
        return ""
    low = min(0.0, *(found.low for _, found, _ in rows))
    high = max(limit * 1.5, *(found.high for _, found, _ in rows))
    height = _ROW * len(rows) + _BOTTOM

    def x(value: float) -> float:
        return _LEFT + (_W - _LEFT - _RIGHT) * (value - low) / (high - low)

    parts = [
        (
            f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="4" '
            f'y2="{height - _BOTTOM}"/>'
        ),
        (
            f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="4" '
            f'y2="{height - _BOTTOM}"/>'
        ),
        (
            f'<text x="{x(limit):.1f}" y="{height - 8}" text-anchor="middle">'
            f"alarm above {percent(limit)} excess</text>"
        ),
    ]
    for i, (name, found, css) in enumerate(rows):
        y = _ROW * i + _ROW / 2 + 2
        parts.append(f'<text class="name" x="0" y="{y + 4}">{escape(name)}</text>')
        parts += _bar(x, found, y, css)
    label = "; ".join(f"{name} {share(found)}" for name, found, _ in rows)
    return _svg(_W, height, label, parts)


def strip(found: Estimate | None, *, reach: float, limit: float) -> str:
    """Return one difference with its interval, for a cell of a table.

    Args:
        found: The difference; None draws nothing.
        reach: Largest absolute value on the scale of the table.
        limit: Where the alarm begins.
    """
    if found is None:
        return ""
    end = max(reach, limit, 1e-6)

    def x(value: float) -> float:
        held = min(max(value, -end), end)
        return 4 + (_STRIP_W - 8) * (held + end) / (2 * end)

    y = _STRIP_H / 2
    parts = [
        (
            f'<line class="zero" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" '
            f'y2="{_STRIP_H - 2}"/>'
        ),
        (
            f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="2" '
            f'y2="{_STRIP_H - 2}"/>'
        ),
        *_bar(x, found, y, "beyond"),
    ]
    return _svg(_STRIP_W, _STRIP_H, f"{shift(found)} points", parts)


def _bar(
    place: Callable[[float], float], found: Estimate, y: float, css: str
) -> list[str]:
    return [
        (
            f'<line class="range {css}" x1="{place(found.low):.1f}" '
            f'x2="{place(found.high):.1f}" y1="{y}" y2="{y}"/>'
        ),
        f'<circle class="dot {css}" cx="{place(found.value):.1f}" cy="{y}" r="5"/>',
    ]


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" aria-label="{escape(label, quote=True)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
