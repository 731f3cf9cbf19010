"""The report on a terminal: the verdict, the claims, and what to look at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from .._types import Status
from ._words import MARKS, claim, clip, facts, flips, interval, lead, rate, tame

if TYPE_CHECKING:
    from .._report import AssertionReport, Example, Report

__all__ = ["details", "text"]

_SLICES: Final = 3
_EXAMPLES: Final = 3
_SUSPECTS: Final = 5
_WIDTH: Final = 160
_REASON: Final = 2_000
_HEAD: Final = ("", "assertion", "rate", "95 %", "tolerated / not", "calls", "")


def text(report: Report) -> str:
    """Return a report for the terminal: at most a screen, what broke first."""
    lines = [f"{report.verdict}  {clip(lead(report), _REASON)}", ""]
    width = max(len(name) for name, _ in facts(report))
    lines += [f"  {name.ljust(width)}  {value}" for name, value in facts(report)]
    lines += ["", *_table(report.assertions)]
    for one in report.assertions:
        lines += _details(one)
    if report.notes:
        lines += ["", "Notes", *(f"  - {note}" for note in report.notes)]
    return tame("\n".join(lines))


def details(one: AssertionReport) -> str:
    """Return what a person must know of one assertion, in a few lines."""
    return tame("\n".join([*_details(one)][1:]))


def _table(assertions: Sequence[AssertionReport]) -> list[str]:
    rows = [_HEAD, *(_row(one) for one in assertions)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    return [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(one: AssertionReport) -> tuple[str, ...]:
    pending = "" if one.gating else "pending"
    return (
        MARKS[one.status],
        one.name,
        rate(one),
        interval(one),
        claim(one),
        str(one.n),
        pending,
    )


def _details(one: AssertionReport) -> Iterator[str]:
    """Yield what to look at; accepted assertions need one line only."""
    yield ""
    yield f"{MARKS[one.status]} {one.name}: {one.sentence}"
    if one.n:
        yield f"  not excluded: {one.not_excluded}"
    if one.calibration:
        yield f"  detector: {one.calibration}"
    if one.status is Status.ACCEPTED:
        return
    for each in one.slices[:_SLICES]:
        if each.failures:
            yield f"  slice {flips(each)}"
    listed = [each.case for each in one.suspects if each.listed]
    if listed:
        more = f" and {len(listed) - _SUSPECTS} more" if len(listed) > _SUSPECTS else ""
        yield f"  suspect cases: {', '.join(listed[:_SUSPECTS])}{more}"
    for example in one.examples[:_EXAMPLES]:
        yield from _example(example)


def _example(one: Example) -> Iterator[str]:
    flipped = ", the incumbent passes it" if one.flipped else ""
    yield f"  {one.case} (round {one.round}{flipped}): {clip(one.why, _WIDTH)}"
    given = ", ".join(f"{name}={value!r}" for name, value in one.inputs.items())
    yield f"    input     {clip(given, _WIDTH)}"
    if one.incumbent:
        yield f"    incumbent {clip(one.incumbent, _WIDTH)}"
    yield f"    candidate {clip(one.candidate, _WIDTH)}"
