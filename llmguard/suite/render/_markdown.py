"""The report as a comment on a pull request."""

from __future__ import annotations

import html as _html
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from .._types import Status
from ._words import claim, clip, facts, flips, interval, lead, rate, status, tame

if TYPE_CHECKING:
    from .._report import AssertionReport, Report

__all__ = ["markdown"]

_EXAMPLES: Final = 3
_SLICES: Final = 5
_CELL: Final = 200
_ROWS: Final = 60
_NOTES: Final = 20
_FACT: Final = 300
_REASON: Final = 1_000
_LIMIT: Final = 60_000
"""Below the 65,536 characters that a GitHub comment may have."""
_LINKED: Final = re.compile(r"[@#]|:(?=//)|\bwww(?=\.)|\bGH(?=-)", re.IGNORECASE)
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&-])")


def markdown(report: Report) -> str:
    """Return a report as GitHub-flavoured Markdown, at most 60,000 characters.

    Whatever a model wrote is in code spans, escaped: it cannot mention people, load
    pictures or close the table. Details of accepted assertions give way first.
    """
    head = [
        (
            f"## {report.verdict}: `{_code(report.suite)}` on "
            f"`{_code(report.candidate.model)}`"
        ),
        "",
        _escape(lead(report), _REASON),
        "",
        "| assertion | status | rate | 95 % | tolerated / not | calls |",
        "|---|---|---|---|---|---|",
        *(_row(one) for one in report.assertions[:_ROWS]),
        *_more(report),
        "",
    ]
    tail = [
        "<details><summary>The run</summary>",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_escape(value)} |" for name, value in facts(report)),
        "",
        *(f"- {_escape(note)}" for note in report.notes[:_NOTES]),
        "",
        "</details>",
        "",
    ]
    lines, size = [*head], sum(len(line) + 1 for line in (*head, *tail)) + 30
    for one in report.assertions:
        block = list(_details(one))
        size += sum(len(line) + 1 for line in block)
        if size > _LIMIT:
            lines += ["More in the full report.", ""]
            break
        lines += block
    return tame("\n".join([*lines, *tail]))


def _more(report: Report) -> list[str]:
    left = report.assertions[_ROWS:]
    if not left:
        return []
    waiting = sum(one.status is not Status.ACCEPTED for one in left)
    return ["", f"and {len(left)} more, {waiting} of them not accepted."]


def _row(one: AssertionReport) -> str:
    word = status(one) if one.status is Status.ACCEPTED else f"**{status(one)}**"
    cells = (
        f"`{_code(one.name)}`",
        word,
        rate(one),
        interval(one),
        claim(one),
        str(one.n),
    )
    return f"| {' | '.join(cells)} |"


def _details(one: AssertionReport) -> Iterator[str]:
    opened = " open" if one.status is Status.BLOCKED else ""
    name = _html.escape(clip(one.name, _CELL))
    yield f"<details{opened}><summary><code>{name}</code>: {one.status}</summary>"
    yield ""
    yield f"{_escape(one.sentence, _REASON)}."
    if one.n:
        yield f"Not excluded: {_escape(one.not_excluded, _REASON)}."
    if one.calibration:
        yield f"Detector: {_escape(one.calibration, _REASON)}."
    yield ""
    if one.status is not Status.ACCEPTED:
        failing = [each for each in one.slices if each.failures]
        yield from (f"- {_escape(flips(each))}" for each in failing[:_SLICES])
        yield ""
        yield from _examples(one)
    yield "</details>"
    yield ""


def _examples(one: AssertionReport) -> Iterator[str]:
    if not one.examples:
        return
    yield "| case | why | incumbent | candidate |"
    yield "|---|---|---|---|"
    for each in one.examples[:_EXAMPLES]:
        mark = " (flipped)" if each.flipped else ""
        cells = (
            f"`{_code(each.case)}`{mark}",
            f"`{_code(each.why)}`",
            f"`{_code(each.incumbent)}`" if each.incumbent else "",
            f"`{_code(each.candidate)}`",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _code(text: str) -> str:
    """Return what stands safely between backticks, in a table or not."""
    line = clip(text, _CELL) or "(nothing)"
    return line.replace("`", "\u02cb").replace("|", "\u2223")


def _escape(text: str, most: int = _FACT) -> str:
    """Return text in which no character means anything to Markdown.

    GitHub looks for people, issues and links in what is left after the escapes were
    read, so those get a mark of no width as well.
    """
    unlinked = _LINKED.sub("\\g<0>\u200b", clip(text, most))
    return _SPECIAL.sub(r"\\\1", unlinked)
