"""Plots: well formed, escaped, inside their frame, without style of their own."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard_fallbacks.console._axes import (
    number,
    percent,
    seconds,
    time_ticks,
    value_ticks,
)
from llmguard_fallbacks.console._svg import (
    Column,
    Line,
    Mark,
    columns,
    interval,
    lines,
    sparkline,
)
from llmguard_fallbacks.console._timeline import Lane, Moment, Stretch, timeline

NOW = 1_796_000_000.0
HOSTILE = "</title><script>alert(1)</script>\"' & <b>"
VALUES = st.floats(-1e12, 1e12) | st.floats(0, 1)


def _checked(image: str) -> ET.Element:
    """Parse an image; nothing of it may lie outside, run, or bring its own style."""
    root = ET.fromstring(image)  # noqa: S314 - our own
    x, y, width, height = map(float, root.attrib["viewBox"].split())
    assert (x, y) == (0, 0)
    for each in root.iter():
        assert each.tag in {
            *("svg", "title", "desc", "g", "a", "line", "path", "rect", "circle"),
            "text",
        }
        assert not any(n == "style" or n.startswith("on") for n in each.attrib)
        for name, limit in (("x1", width), ("x2", width), ("cx", width), ("x", width)):
            assert -0.01 <= float(each.get(name, 0)) <= limit + 0.01
        for name in ("y1", "y2", "cy", "y"):
            assert -0.01 <= float(each.get(name, 0)) <= height + 0.01
        if each.tag == "rect":
            assert float(each.attrib["width"]) > 0
            assert float(each.attrib["height"]) > 0
    named = {one.attrib["id"] for one in root if "id" in one.attrib}
    assert named == set(root.attrib["aria-labelledby"].split())
    return root


@given(
    st.lists(VALUES | st.none(), max_size=30),
    st.none() | st.tuples(VALUES, VALUES),
    st.none() | VALUES,
    st.none() | VALUES,
)
def test_lines_stay_inside(
    values: list[float | None],
    band: tuple[float, float] | None,
    limit: float | None,
    low: float | None,
) -> None:
    """Whatever the values, the band and the limit are."""
    points = [(NOW + 60.0 * i, value) for i, value in enumerate(values)]
    image = lines(
        [Line(name=HOSTILE, points=points)],
        title=HOSTILE,
        start=NOW,
        end=NOW + 1_800.0,
        low=low,
        band=None if band is None else (min(band), max(band)),
        limit=limit,
        marks=[Mark(at=NOW + 60.0, text=HOSTILE, css="bad")],
    )
    root = _checked(image)
    assert HOSTILE in str(root.findtext("title"))
    drawn = image.count('class="dot s1"')
    assert sum(value is not None for value in values) == drawn


def test_gaps_interrupt_a_line() -> None:
    """What is not known is not drawn over."""
    image = lines(
        [Line(name="p50", points=[(0, 1.0), (1, 2.0), (2, None), (3, 1.0)])],
        title="t",
        start=0,
        end=3,
    )
    [path] = re.findall(r'<path class="line s1" d="([^"]*)"', image)
    assert ["M", "L", "M"] == re.findall("[ML]", path)
    assert "p50: last 1, from 1 to 2" in image


def test_an_empty_plot_says_so() -> None:
    """It still has its axes."""
    image = lines([], title="t", start=0, end=3600)
    _checked(image)
    assert "no values yet" in image


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=40))
def test_columns_stand_on_each_other(counts: list[tuple[float, float]]) -> None:
    """A column is as many rectangles as it has parts that are not empty."""
    found = [
        Column(start=60.0 * i, parts=[("good", a), ("bad", b)], text=HOSTILE)
        for i, (a, b) in enumerate(counts)
    ]
    image = columns(found, title="t", start=0, end=2_400, span=60.0)
    root = _checked(image)
    rects = sum(each.tag == "rect" for each in root.iter())
    assert sum((a > 0) + (b > 0) for a, b in counts) == rects


def test_columns_of_no_calls() -> None:
    """Nothing happened: axes and no columns."""
    _checked(columns([], title="t", start=0, end=60, span=60))


@given(st.lists(VALUES | st.none(), max_size=30))
def test_sparklines_stay_inside(values: list[float | None]) -> None:
    """And there is none of nothing."""
    image = sparkline(values, title=HOSTILE)
    if all(value is None for value in values):
        assert image == ""
    else:
        _checked(image)


@given(VALUES, VALUES, VALUES, st.none() | VALUES)
def test_intervals_stay_inside(
    value: float, low: float, high: float, limit: float | None
) -> None:
    """What is beyond the table's scale is drawn at its end."""
    _checked(interval(value, low, high, title=HOSTILE, reach=(-0.1, 0.1), limit=limit))


def test_a_timeline_tells_each_stage() -> None:
    """In tooltips always, in words where there is room, with links where there are."""
    lane = Lane(
        name=HOSTILE,
        about="a very long model name that finds no room",
        stretches=[
            Stretch(start=0, end=50, css="active", text="active", told=HOSTILE),
            Stretch(start=50, end=51, css="canary", text="canary", told="5 %"),
        ],
        moments=[
            Moment(at=50, css="good", told="promoted", href="/x?a=1&b=2"),
            Moment(at=999, css="good", told="later"),
        ],
    )
    image = timeline([lane], title="t", about="", start=0, end=100)
    root = _checked(image)
    words = [each.text for each in root.iter("text") if each.get("class") == "in"]
    assert ["active"] == words
    assert ["/x?a=1&b=2"] == [each.get("href") for each in root.iter("a")]
    assert "later" not in image
    assert "a very long model nam\u2026" in image


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_are_few_and_cover_the_values(low: float, size: float) -> None:
    """Three to six round values."""
    ticks = value_ticks(low, low + size)
    assert ticks[0] <= low + size * 1e-6
    assert ticks[-1] >= low + size - size * 1e-6
    assert 2 <= len(ticks) <= 7


@pytest.mark.parametrize("bad", [(1.0, 1.0), (0.0, math.inf), (0.0, math.nan)])
def test_there_are_no_ticks_of_nothing(bad: tuple[float, float]) -> None:
    """One tick, and no endless loop."""
    assert [bad[0]] == value_ticks(*bad)


@given(st.floats(1, 4e9), st.floats(60, 10 * 365 * 86_400))
def test_time_ticks_are_few(start: float, span: float) -> None:
    """At most eight, inside, in order."""
    ticks = [at for at, _ in time_ticks(start, start + span)]
    assert len(ticks) <= 8
    assert all(start <= at <= start + span for at in ticks)
    assert ticks == sorted(ticks)


def test_numbers_are_brief() -> None:
    """As people read them."""
    assert ["0", "12", "0.25", "1,200", "12.3k", "2.5M"] == [
        number(value) for value in (0, 12, 0.25, 1_200, 12_345, 2_500_000)
    ]
    assert ["0 %", "0.43 %", "12 %", "99.5 %"] == [
        percent(value) for value in (0, 0.0043, 0.12, 0.995)
    ]
    assert ["120 ms", "2.5 s"] == [seconds(value) for value in (0.12, 2.5)]
