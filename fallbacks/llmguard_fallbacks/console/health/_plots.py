"""The plots of the page of health."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from .._axes import number, percent, seconds
from .._svg import Column, Line, Mark, columns, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmguard.monitor.sketch import Sketch

    from ._monitor import MonitorView
    from ._read import Calls

__all__ = ["COLOURS", "calls_plot", "monitor_plots"]

COLOURS: Final = ("s1", "s2", "s4", "s3", "s5")
_PARTS: Final = ("ok", "degraded", "deferred", "failed")
_SHOWN: Final = 5
_LEAST: Final = 3


def calls_plot(found: Calls, *, start: float, end: float) -> Markup:
    """Return calls over time by how they ended."""
    made = [
        Column(
            start=at,
            parts=[(word, float(words.get(word, 0))) for word in _PARTS],
            text=f"{datetime.fromtimestamp(at, UTC):%b %d %H:%M}: "
            + ", ".join(f"{n} {word}" for word, n in words.items()),
        )
        for at, words in found.buckets
    ]
    told = ", ".join(f"{found.total(word):,} {word}" for word in _PARTS)
    return columns(
        made,
        title=f"Calls of {found.function} over time",
        about=told,
        start=start,
        end=end,
        span=found.span,
        width=1_100,
        height=150,
    )


def monitor_plots(view: MonitorView, mark: str) -> list[tuple[str, Markup]]:
    """Return the plots of one function's answers, with their headings.

    Args:
        view: What the monitor knows.
        mark: The property of answers whose share is drawn; empty for none.
    """
    found = [
        (
            "Length of answers, characters at the median",
            _plot(
                view,
                "Length of answers",
                lambda one: (
                    one.sizes["chars"].quantile(0.5) if one.sizes["chars"].n else None
                ),
                number,
                band=view.lengths,
            ),
        ),
        (
            "Share of first answers that break the contract",
            _plot(view, "Broken answers", _broken, percent),
        ),
        (
            "Seconds at the median",
            _plot(
                view,
                "Seconds of answers",
                lambda one: (
                    one.sizes["seconds"].quantile(0.5)
                    if one.sizes["seconds"].n
                    else None
                ),
                seconds,
            ),
        ),
    ]
    if mark:
        expected = view.rates.get(mark)
        band = None if expected is None else (expected - 0.005, expected + 0.005)
        found.insert(
            0,
            (
                f"Share of answers with “{mark}”",
                _plot(
                    view,
                    f"Share with {mark}",
                    lambda one: one.rate(mark) if one.outputs >= _LEAST else None,
                    percent,
                    band=band,
                ),
            ),
        )
    return found


def _broken(one: Sketch) -> float | None:
    if one.answers < _LEAST:
        return None
    return 1 - one.kinds.get("ok", 0) / one.answers


def _plot(
    view: MonitorView,
    title: str,
    value: Callable[[Sketch], float | None],
    show: Callable[[float], str],
    *,
    band: tuple[float, float] | None = None,
) -> Markup:
    marks = [
        Mark(at=one.at, text=f"alarm: {one.detail.get('family', '')}", css="bad")
        for one in view.alarms
    ]
    return lines(
        [
            Line(
                name=one.pin,
                css=COLOURS[i],
                points=[(at, value(each)) for at, each in one.series],
            )
            for i, one in enumerate(view.versions[:_SHOWN])
        ],
        title=f"{title} of {view.function}",
        start=view.start,
        end=view.end,
        band=band,
        marks=marks,
        show=show,
    )
