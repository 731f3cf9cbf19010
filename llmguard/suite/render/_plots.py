"""The two plots of a report as inline SVG: where a rate lies, how evidence grew."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from ._words import claim, interval, percent, rate

if TYPE_CHECKING:
    from .._report import AssertionReport, PathPoint

__all__ = ["evidence_plot", "rate_plot"]

_W: Final = 360
_H: Final = 30
_PATH_W: Final = 520
_PATH_H: Final = 190
_LEFT: Final = 46
_RIGHT: Final = 12
_TOP: Final = 14
_BOTTOM: Final = 30
_FLOOR: Final = -5.0
"""Logarithms below it are drawn at it: evidence against nobody needs no more room."""


def rate_plot(one: AssertionReport) -> str:
    """Return the observed rate and its interval beside the two rates of the claim."""
    low, high = one.interval
    reach = max(high, one.unacceptable * 1.6, 0.01)
    start = min(low, 0.0)

    def x(value: float) -> float:
        return 6 + (_W - 12) * (value - start) / (reach - start)

    seen = _seen(one)
    mid = _H / 2
    parts = [
        (
            f'<rect class="fine" x="{x(start):.1f}" y="6" '
            f'width="{x(one.tolerate) - x(start):.1f}" height="{_H - 12}"/>'
        ),
        (
            f'<rect class="bad" x="{x(one.unacceptable):.1f}" y="6" '
            f'width="{x(reach) - x(one.unacceptable):.1f}" height="{_H - 12}"/>'
        ),
        (
            f'<line class="range" x1="{x(low):.1f}" x2="{x(high):.1f}" '
            f'y1="{mid}" y2="{mid}"/>'
        ),
    ]
    if seen is not None:
        parts.append(
            f'<circle class="{_class(one)}" cx="{x(seen):.1f}" cy="{mid}" r="5"/>'
        )
    label = f"rate {rate(one)}, 95 % interval {interval(one)}, claim {claim(one)}"
    return _svg(_W, _H, label, parts)


def _seen(one: AssertionReport) -> float | None:
    """Return the rate, or the difference of the arms for relative assertions."""
    if not one.n:
        return None
    seen = one.failures / one.n
    if one.relative and one.incumbent_n:
        seen -= one.incumbent_failures / one.incumbent_n
    return seen


def evidence_plot(one: AssertionReport) -> str:
    """Return both e-values over the calls, and where each decides; log scale."""
    if not one.path:
        return ""
    points = one.path
    ends = [p.block for p in points] + [p.accept for p in points]
    reach = max(one.block_at, one.accept_at, *(e for e in ends if math.isfinite(e)))
    top = reach * 1.08
    last = max(points[-1].n, 1)

    def x(n: float) -> float:
        return _LEFT + (_PATH_W - _LEFT - _RIGHT) * n / last

    def y(value: float) -> float:
        held = min(max(value, _FLOOR), top)
        return _TOP + (_PATH_H - _TOP - _BOTTOM) * (top - held) / (top - _FLOOR)

    parts = [*_ticks(top, y), *_calls(last, x)]
    for kind, at, path in (
        ("block", one.block_at, [(p.n, p.block) for p in points]),
        ("accept", one.accept_at, [(p.n, p.accept) for p in points]),
    ):
        parts.append(
            f'<line class="limit {kind}" x1="{_LEFT}" x2="{_PATH_W - _RIGHT}" '
            f'y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        )
        parts.append(
            f'<text class="{kind}" x="{_LEFT + 4}" y="{y(at) - 3:.1f}">'
            f"{kind}s at {math.exp(at):,.0f}</text>"
        )
        drawn = [(0, 0.0), *path]
        dots = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in drawn)
        parts.append(f'<polyline class="{kind}" points="{dots}"/>')
    return _svg(_PATH_W, _PATH_H, _story(one, points), parts)


def _ticks(top: float, place: Callable[[float], float]) -> Iterator[str]:
    for power in range(-2, int(top / math.log(10)) + 1, 2):
        at = place(power * math.log(10))
        yield (
            f'<line class="grid" x1="{_LEFT}" x2="{_PATH_W - _RIGHT}" '
            f'y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 4}" y="{at + 3:.1f}" '
            f'text-anchor="end">10<tspan dy="-4" font-size="8">{power}</tspan></text>'
        )


def _calls(last: int, place: Callable[[float], float]) -> Iterator[str]:
    for n in sorted({0, last // 2, last}):
        yield (
            f'<text class="tick" x="{place(n):.1f}" y="{_PATH_H - 12}" '
            f'text-anchor="middle">{n}</text>'
        )
    yield (
        f'<text class="tick" x="{(_LEFT + _PATH_W) / 2:.0f}" y="{_PATH_H - 1}" '
        'text-anchor="middle">calls judged</text>'
    )


def _story(one: AssertionReport, points: Sequence[PathPoint]) -> str:
    end = points[-1]
    return (
        f"After {end.n} calls the evidence against the rate being at most "
        f"{percent(one.tolerate)} is {_odds(end.block)} to 1 (blocks at "
        f"{_odds(one.block_at)}) and against at least {percent(one.unacceptable)} "
        f"{_odds(end.accept)} to 1 (accepts at {_odds(one.accept_at)})"
    )


def _odds(logarithm: float) -> str:
    """Return an e-value for reading; beyond a million nobody reads the digits."""
    million = 6 * math.log(10)
    if logarithm > million:
        return "more than 1,000,000"
    return f"{math.exp(logarithm):,.3g}"


def _class(one: AssertionReport) -> str:
    return {"blocked": "bad-dot", "accepted": "good-dot"}.get(str(one.status), "dot")


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" aria-label="{escape(label, quote=True)}">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
