"""Plots as SVG, made on the server: they need no script and no style of their own.

Every colour is a class of the style sheet, so light, dark and print are its affair.
A plot is one image with a name and a description; what a mark stands for is its
tooltip. Whatever comes from outside is escaped.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from markupsafe import Markup

from ._axes import moment_label, number, time_ticks, value_ticks

__all__ = [
    "Column",
    "Line",
    "Mark",
    "columns",
    "image",
    "interval",
    "lines",
    "sparkline",
]

_WIDTH: Final = 640
_LEFT: Final = 48
_RIGHT: Final = 14
_TOP: Final = 10
_BOTTOM: Final = 24
_MARGIN: Final = 16
_MANY: Final = 40
_IDS: Final = itertools.count(1)

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot.

    Attributes:
        name: In the legend and in tooltips.
        points: Where it goes, in order; None interrupts it.
        css: Class of its colour, `s1` to `s5`.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    css: str = "s1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a plot of counts over time.

    Attributes:
        start: Where it begins.
        parts: Class and number of each part, from below.
        text: Its tooltip.
    """

    start: float
    parts: Sequence[tuple[str, float]]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened while a line went on.

    Attributes:
        at: When.
        text: Its tooltip.
        css: `good`, `warn`, `bad`, or empty.
    """

    at: float
    text: str
    css: str = ""


def lines(
    series: Sequence[Line],
    *,
    title: str,
    start: float,
    end: float,
    about: str = "",
    low: float | None = 0.0,
    high: float | None = None,
    band: tuple[float, float] | None = None,
    limit: float | None = None,
    marks: Sequence[Mark] = (),
    show: Show = number,
    height: int = 180,
) -> Markup:
    """Plot values over time.

    Args:
        series: The lines.
        title: What is shown, in a few words.
        start: Epoch seconds of the left end.
        end: Of the right end.
        about: One sentence on what is to be seen; made of the last values if empty.
        low: Least value of the scale; None for what the values need.
        high: Largest, unless a value is larger.
        band: What is normal: drawn behind the lines.
        limit: Drawn as a line across.
        marks: Drawn as lines from top to bottom.
        show: Writes a value.
        height: Of the image.
    """
    found = [v for one in series for _, v in one.points if v is not None]
    wanted = [*found, *(band or ()), *(() if limit is None else (limit,))]
    scale = _scale(wanted, low, high)
    place = _Place(start, end, scale, (_WIDTH, height))
    parts = list(_band(place, band)) + list(_axes(place, show))
    if limit is not None:
        parts.append(_across("limit", place, place.y(limit)))
    for mark in marks:
        if start <= mark.at <= end:
            parts.append(
                f'<g class="mark {mark.css}"><title>{_text(mark.text)}</title>'
                f'<line x1="{place.x(mark.at)}" x2="{place.x(mark.at)}" y1="{_TOP}" '
                f'y2="{height - _BOTTOM}"/></g>'
            )
    for one in series:
        parts += _line(place, one, show)
    told = about or _told(series, show)
    return image(_WIDTH, height, title, told, parts)


def columns(
    found: Sequence[Column],
    *,
    title: str,
    start: float,
    end: float,
    span: float,
    about: str = "",
    show: Show = number,
    width: int = _WIDTH,
    height: int = 160,
) -> Markup:
    """Plot counts over time as columns of parts.

    Args:
        found: The columns that are not empty.
        title: What is shown.
        start: Epoch seconds of the left end.
        end: Of the right end.
        span: Seconds that a column stands for.
        about: One sentence on what is to be seen.
        show: Writes a value.
        width: Of the image.
        height: Of the image.
    """
    top = max((sum(n for _, n in one.parts) for one in found), default=0.0)
    place = _Place(start, end, _scale([top], 0.0, None), (width, height))
    parts = list(_axes(place, show))
    for one in found:
        left, right = place.x(max(one.start, start)), place.x(one.start + span)
        wide = max(right - left - 1.0, 1.0)
        below, bits = 0.0, [f"<title>{_text(one.text)}</title>"]
        for css, n in one.parts:
            if n > 0:
                upper, lower = place.y(below + n), place.y(below)
                bits.append(
                    f'<rect class="{css}" x="{left:.1f}" y="{upper:.1f}" '
                    f'width="{wide:.1f}" height="{max(lower - upper, 1.0):.1f}"/>'
                )
                below += n
        parts.append(f"<g>{''.join(bits)}</g>")
    return image(width, height, title, about, parts)


def sparkline(
    values: Sequence[float | None], *, title: str, show: Show = number
) -> Markup:
    """Plot a few values without axes, for a cell of a table."""
    width, height = 120, 28
    known = [value for value in values if value is not None]
    if not known:
        return Markup()
    low, high = min(0.0, *known), max(known)
    reach = (high - low) or 1.0
    step = (width - 6) / max(len(values) - 1, 1)
    points: list[tuple[float, float | None]] = [
        (
            3 + i * step,
            None if v is None else 3 + (height - 6) * (1 - (v - low) / reach),
        )
        for i, v in enumerate(values)
    ]
    parts = [f'<path class="line s1" d="{_path(points)}"/>']
    last = next(p for p in reversed(points) if p[1] is not None)
    parts.append(
        f'<circle class="dot s1" cx="{last[0]:.1f}" cy="{last[1]:.1f}" r="2.5"/>'
    )
    told = f"from {show(known[0])} to {show(known[-1])}, at most {show(high)}"
    return image(width, height, title, told, parts, css="chart spark")


def interval(
    value: float,
    low: float,
    high: float,
    *,
    title: str,
    reach: tuple[float, float],
    limit: float | None = None,
    show: Show = number,
    css: str = "s1",
) -> Markup:
    """Plot one value with its interval on a scale that a table's rows share.

    Args:
        value: The value.
        low: Lower end of the interval.
        high: Upper end.
        title: What it is.
        reach: Ends of the scale; what lies beyond is drawn at the end.
        limit: Where what is tolerated ends.
        show: Writes a value.
        css: Class of the colour.
    """
    width, height, y = 220, 22, 11
    least, most = reach
    size = (most - least) or 1.0

    def x(at: float) -> float:
        return 6 + (width - 12) * (min(max(at, least), most) - least) / size

    parts = [f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="20"/>']
    if limit is not None:
        at = f"{x(limit):.1f}"
        parts.append(f'<line class="limit" x1="{at}" x2="{at}" y1="2" y2="20"/>')
    parts.append(
        f'<line class="range {css}" x1="{x(low):.1f}" x2="{x(high):.1f}" '
        f'y1="{y}" y2="{y}"/>'
        f'<circle class="dot {css}" cx="{x(value):.1f}" cy="{y}" r="4.5"/>'
    )
    told = f"{show(value)}, between {show(low)} and {show(high)}"
    return image(width, height, title, told, parts, css="chart strip")


class _Place:
    """From values to places in the image."""

    def __init__(
        self,
        start: float,
        end: float,
        scale: tuple[float, float],
        size: tuple[int, int],
    ) -> None:
        self.start, self.end = start, max(end, start + 1.0)
        self.low, self.high = scale
        self.width, self.height = size
        self.right = self.width - _RIGHT

    def x(self, at: float) -> float:
        inner = self.right - _LEFT
        share = (at - self.start) / (self.end - self.start)
        return round(_LEFT + inner * min(max(share, 0.0), 1.0), 1)

    def y(self, value: float) -> float:
        inner = self.height - _TOP - _BOTTOM
        share = (value - self.low) / (self.high - self.low)
        return round(_TOP + inner * (1 - min(max(share, 0.0), 1.0)), 1)


def _scale(
    values: Iterable[float], low: float | None, high: float | None
) -> tuple[float, float]:
    """Return the ends of a scale that holds all values, a little beyond them."""
    known = [value for value in values if math.isfinite(value)]
    least = min(known, default=0.0) if low is None else min([low, *known])
    most = max(known, default=1.0) if high is None else max([high, *known])
    if most <= least:
        return least, least + 1.0
    ticks = value_ticks(least, most)
    return min(least, ticks[0]) if low is None else least, max(most, ticks[-1])


def _axes(place: _Place, show: Show) -> Iterable[str]:
    for value in value_ticks(place.low, place.high):
        if place.low <= value <= place.high:
            y = place.y(value)
            yield _across("axis", place, y)
            yield (
                f'<text x="{_LEFT - 6}" y="{y + 3.5}" text-anchor="end">'
                f"{_text(show(value))}</text>"
            )
    for at, label in time_ticks(place.start, place.end):
        x = place.x(at)
        anchor = "end" if x > place.right - _MARGIN else "middle"
        yield (
            f'<text x="{x}" y="{place.height - 7}" text-anchor="{anchor}">'
            f"{_text(label)}</text>"
        )


def _across(css: str, place: _Place, y: float) -> str:
    return f'<line class="{css}" x1="{_LEFT}" x2="{place.right}" y1="{y}" y2="{y}"/>'


def _band(place: _Place, band: tuple[float, float] | None) -> Iterable[str]:
    if band is not None:
        top, below = place.y(band[1]), place.y(band[0])
        high, wide = max(below - top, 2.0), place.right - _LEFT
        yield (
            f'<rect class="band" x="{_LEFT}" y="{top}" width="{wide}" '
            f'height="{high:.1f}"><title>the baseline</title></rect>'
        )


def _line(place: _Place, one: Line, show: Show) -> Iterable[str]:
    points = [(place.x(at), None if v is None else place.y(v)) for at, v in one.points]
    yield f'<path class="line {one.css}" d="{_path(points)}"/>'
    size = 1.6 if len(points) > _MANY else 2.6
    for (x, y), (at, value) in zip(points, one.points, strict=True):
        if y is not None and value is not None:
            label = f"{one.name}: {show(value)}, {moment_label(at)}"
            yield (
                f'<circle class="dot {one.css}" cx="{x}" cy="{y}" r="{size}">'
                f"<title>{_text(label)}</title></circle>"
            )


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    steps: list[str] = []
    drawn = False
    for x, y in points:
        if y is None:
            drawn = False
            continue
        steps.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}")
        drawn = True
    return " ".join(steps)


def _told(series: Sequence[Line], show: Show) -> str:
    told: list[str] = []
    for one in series:
        known = [value for _, value in one.points if value is not None]
        if known:
            told.append(
                f"{one.name}: last {show(known[-1])}, from {show(min(known))} to "
                f"{show(max(known))}"
            )
    return "; ".join(told) or "no values yet"


def image(
    width: float,
    height: float,
    title: str,
    about: str,
    parts: Iterable[str],
    *,
    css: str = "chart",
) -> Markup:
    """Return an image of parts whose texts are escaped already.

    Args:
        width: Of its coordinates.
        height: Of its coordinates.
        title: Its name; escaped here.
        about: Its description; escaped here.
        parts: Its elements.
        css: Its classes.
    """
    key = f"c{next(_IDS)}"
    told = f'<desc id="{key}d">{_text(about)}</desc>' if about else ""
    named = f"{key}t {key}d" if about else f"{key}t"
    return Markup(  # noqa: S704 - every text in it was escaped above
        f'<svg class="{css}" role="img" viewBox="0 0 {width} {height}" '
        f'aria-labelledby="{named}"><title id="{key}t">{_text(title)}</title>{told}'
        f"{''.join(parts)}</svg>"
    )


def _text(text: str) -> str:
    return escape(text, quote=True)
