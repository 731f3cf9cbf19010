"""The report on a terminal: the verdict, the rates, and the tail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ...suite.render._words import clip, tame
from .._examples import Example
from .._rates import Rates
from .._report import Report
from .._words import percent, signed
from ._lines import RATES, brief, change, facts, shift, some, where

__all__ = ["text"]

_WIDTH: Final = 110
_TOP: Final = 12
_EXAMPLES: Final = 3
_REASON: Final = 1_000


def text(report: Report) -> str:
    """Return a report for the terminal: what matters most first."""
    lines = [f"{report.verdict}  {clip(report.reason, _REASON)}", ""]
    known = facts(report)
    width = max(len(name) for name, _ in known)
    lines += [f"  {name.ljust(width)}  {value}" for name, value in known]
    lines += ["", *_rates(report), *_strata(report), *_fields(report)]
    lines += [*_transitions(report), *_tail(report)]
    for title, notes in (("Notes", report.notes), ("Alarms", report.alarms)):
        if notes:
            lines += ["", title, *(f"  - {note}" for note in notes)]
    return tame("\n".join(lines))


def _rates(report: Report) -> Iterator[str]:
    rows: list[tuple[str, Rates]] = [("divergence, rungs 1-4", report.main)]
    rows += [
        (f"  {row.rung} {row.label}", row.rates)
        for row in report.rungs
        if row.rung < 5 and some(row.rates)  # noqa: PLR2004 - the register has its own row
    ]
    rows += [
        (f"  {row.name}", row.rates) for row in report.directions if some(row.rates)
    ]
    rows.append(("register, apart", report.register))
    yield from _table(("", *RATES), [(name, *brief(rates)) for name, rates in rows])


def _strata(report: Report) -> Iterator[str]:
    if len(report.strata) < 2:  # noqa: PLR2004 - one stratum is the whole
        return
    yield ""
    yield "Strata, the worst first"
    rows = [
        (clip(row.name or "(none)", 30), _count(row.rates), *brief(row.rates))
        for row in report.strata[:_TOP]
    ]
    yield from _table(("", "requests", *RATES), rows)
    yield from _more(len(report.strata))


def _count(rates: Rates) -> str:
    return f"{rates.raw.n:,}" if rates.raw else "0"


def _fields(report: Report) -> Iterator[str]:
    rows = [row for row in report.paths if some(row.rates)]
    if not rows:
        return
    yield ""
    yield "Fields and traits, whatever else differs"
    yield from _table(
        ("", "raw", "floor A/A", "net", "excess"),
        [
            (
                clip(where(row), 40),
                *brief(row.rates)[:2],
                shift(row.rates.net),
                shift(row.rates.excess),
            )
            for row in rows[:_TOP]
        ],
    )
    yield from _more(len(rows))


def _transitions(report: Report) -> Iterator[str]:
    if not report.transitions:
        return
    yield ""
    yield "Transitions"
    rows = [
        (
            clip(row.path or "(whole answer)", 40),
            clip(change(row), 60),
            row.severity,
            f"{row.requests:g}",
            percent(row.rate),
            "-" if row.floor is None else percent(row.floor),
            "-" if row.net is None else signed(row.net),
        )
        for row in report.transitions[:_TOP]
    ]
    yield from _table(
        ("", "from -> to", "severity", "requests", "rate", "floor", "net"), rows
    )
    yield from _more(len(report.transitions))


def _more(count: int) -> Iterator[str]:
    if count > _TOP:
        yield f"  ... and {count - _TOP} more in the JSON and HTML reports"


def _tail(report: Report) -> Iterator[str]:
    chosen = _varied(report.examples)
    if not chosen:
        return
    yield ""
    yield "The tail"
    for each in chosen:
        stable = f", {each.sure}" if each.sure else ""
        slice_ = f", {each.stratum}" if each.stratum else ""
        place = each.path or "(whole answer)"
        name = f"{clip(each.request, 60)}{slice_}"
        yield f"  {name}: {place} {clip(each.detail, 80)}{stable}"
        if each.input:
            yield f"    input       {clip(each.input, _WIDTH)}"
        yield f"    incumbent   {clip(each.incumbent, _WIDTH)}"
        yield f"    challenger  {clip(each.challenger, _WIDTH)}"


def _varied(examples: Sequence[Example]) -> list[Example]:
    """Return a few, one of each kind of difference, the most severe first."""
    found: dict[tuple[object, ...], Example] = {}
    for each in examples:
        found.setdefault(each.group, each)
    others = [each for each in examples if found[each.group] is not each]
    return [*found.values(), *others][:_EXAMPLES]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    whole = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[i]) for row in whole) for i in range(len(head))]
    return [
        "  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in whole
    ]
