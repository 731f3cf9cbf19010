"""A plot of what stood where, and for how long: a row for each version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from markupsafe import Markup

from ._axes import moment_label, time_ticks
from ._svg import image

__all__ = ["Lane", "Moment", "Stretch", "timeline"]

_WIDTH: Final = 900
_LEFT: Final = 150
_RIGHT: Final = 16
_TOP: Final = 8
_LANE: Final = 34
_BAR: Final = 18
_BOTTOM: Final = 24
_LONGEST: Final = 22
_ROOM: Final = 46
_MARGIN: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """How long something stood in one stage.

    Attributes:
        start: Epoch seconds.
        end: Epoch seconds.
        css: Class of the stage.
        text: Written in it where there is room.
        told: Its tooltip.
    """

    start: float
    end: float
    css: str
    text: str
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened at one moment.

    Attributes:
        at: Epoch seconds.
        css: Class of its mark.
        told: Its tooltip.
        href: Where it leads; empty for nowhere.
    """

    at: float
    css: str
    told: str
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row.

    Attributes:
        name: At its left.
        about: Smaller, below the name.
        stretches: What it went through, in order.
        moments: Drawn on top.
    """

    name: str
    about: str = ""
    stretches: Sequence[Stretch] = ()
    moments: Sequence[Moment] = ()


def timeline(
    lanes: Sequence[Lane], *, title: str, about: str, start: float, end: float
) -> Markup:
    """Plot lanes from `start` to `end`, epoch seconds; what lies outside is cut."""
    height = _TOP + _LANE * len(lanes) + _BOTTOM
    end = max(end, start + 1.0)

    def x(at: float) -> float:
        share = min(max((at - start) / (end - start), 0.0), 1.0)
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * share, 1)

    parts: list[str] = []
    for at, label in time_ticks(start, end):
        anchor = "end" if x(at) > _WIDTH - _RIGHT - _MARGIN else "middle"
        parts.append(
            f'<line class="axis" x1="{x(at)}" x2="{x(at)}" y1="{_TOP}" '
            f'y2="{height - _BOTTOM}"/><text x="{x(at)}" y="{height - 7}" '
            f'text-anchor="{anchor}">{escape(label)}</text>'
        )
    for row, lane in enumerate(lanes):
        y = _TOP + _LANE * row
        parts.append(_name(lane, y))
        parts += [_stretch(one, x(one.start), x(one.end), y) for one in lane.stretches]
        parts += [
            _moment(one, x(one.at), y) for one in lane.moments if start <= one.at <= end
        ]
    return image(_WIDTH, height, title, about, parts, css="chart timeline")


def _name(lane: Lane, y: float) -> str:
    name, about = _short(lane.name), _short(lane.about)
    below = f'<text class="about" x="0" y="{y + 27}">{about}</text>' if about else ""
    return f'<text class="name" x="0" y="{y + 15}">{name}</text>{below}'


def _short(text: str) -> str:
    return escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026")


def _stretch(one: Stretch, left: float, right: float, y: float) -> str:
    width = max(right - left, 2.0)
    words = ""
    if one.text and width > _ROOM:
        words = (
            f'<text class="in" x="{left + 6:.1f}" y="{y + 17.5}">'
            f"{escape(one.text)}</text>"
        )
    return (
        f'<g class="stage {one.css}"><title>{escape(one.told)}</title>'
        f'<rect x="{left:.1f}" y="{y + 4}" width="{width:.1f}" height="{_BAR}" '
        f'rx="3"/>{words}</g>'
    )


def _moment(one: Moment, x: float, y: float) -> str:
    mark = (
        f'<g class="moment {one.css}"><title>{escape(one.told)}, '
        f'{moment_label(one.at)}</title><circle cx="{x}" cy="{y + 13}" r="5"/></g>'
    )
    if not one.href:
        return mark
    label = escape(one.told, quote=True)
    return f'<a href="{escape(one.href, quote=True)}" aria-label="{label}">{mark}</a>'
