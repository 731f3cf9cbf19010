"""Sentences and cells that the terminal and the page share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from .._estimate import Estimate
from .._rates import Rates
from .._report import PathRow, Report, TransitionRow, Version
from .._words import interval, many, odds, percent, points, signed

__all__ = [
    "RATES",
    "brief",
    "cells",
    "change",
    "facts",
    "seen",
    "share",
    "shift",
    "sizes",
    "some",
    "unseen",
    "where",
]

RATES: Final = ("raw", "floor A/A", "floor B/B", "net", "excess", "evidence")


def share(found: Estimate | None) -> str:
    """Return a rate with its interval."""
    if found is None:
        return "-"
    return f"{percent(found.value)} ({interval(found.low, found.high)})"


def shift(found: Estimate | None) -> str:
    """Return a difference of rates, in points, with its interval."""
    if found is None:
        return "-"
    ends = interval(found.low, found.high, difference=True)
    return f"{signed(found.value)} ({ends})"


def cells(rates: Rates) -> tuple[str, ...]:
    """Return a row of a table: the columns are `RATES`."""
    return (
        share(rates.raw),
        share(rates.floor_a),
        share(rates.floor_b),
        shift(rates.net),
        shift(rates.excess),
        odds(rates.log_e) if rates.net else "-",
    )


def brief(rates: Rates) -> tuple[str, ...]:
    """Return the same row with bare floors, for narrow places."""
    raw, _, _, *rest = cells(rates)
    floors = [
        "-" if each is None else percent(each.value)
        for each in (rates.floor_a, rates.floor_b)
    ]
    return (raw, *floors, *rest)


def some(rates: Rates) -> bool:
    """Tell whether anything differed at all."""
    known = (rates.raw, rates.floor_a, rates.floor_b)
    return any(each is not None and each.value > 0 for each in known)


def change(row: TransitionRow) -> str:
    """Return what became of what."""
    return f"{row.before} \u2192 {row.after}"


def where(row: PathRow) -> str:
    """Return the field's name, marked when it is critical."""
    name = row.path or "(whole answer)"
    return f"{name} (critical)" if row.critical else name


def sizes(report: Report) -> str:
    """Return how many requests the report rests on."""
    said = f"{many(report.requests, 'request')} compared"
    said += f", the incumbent drawn twice on {report.doubled:,}"
    if report.unmatched:
        said += f"; {report.unmatched:,} without a draw of one version to compare"
    return said


def unseen(report: Report) -> str:
    """Return what this many requests cannot show."""
    if report.detectable is None:
        return (
            "without a second draw of the incumbent nothing can be told from its own "
            "noise, however large the raw rate is"
        )
    return (
        f"a net divergence below {points(report.detectable)[1:]} would probably not be "
        f"declared with {many(report.doubled, 'request')} drawn twice"
    )


def seen(version: Version) -> str:
    """Return what one version did, in one line."""
    parts = [many(version.draws, "draw")]
    parts += [f"{n:,} {act}" for act, n in version.acts.items()]
    if version.lost:
        lost = ", ".join(f"{n:,} {kind}" for kind, n in version.lost.items())
        parts.append(f"not comparable: {lost}")
    if version.latency:
        p50, p95, p99 = version.latency
        parts.append(f"{p50:.3g} / {p95:.3g} / {p99:.3g} s at p50 / p95 / p99")
    if version.cost is not None:
        parts.append(f"{version.cost:.3g} a draw")
    return ", ".join(parts)


def facts(report: Report) -> list[tuple[str, str]]:
    """Return what a reader asks first, as names and values."""
    found = [("function", report.function)] if report.function else []
    found += [
        ("incumbent", _named(report.incumbent)),
        ("challenger", _named(report.challenger)),
        ("requests", sizes(report)),
        ("source", report.source),
        ("intervals", _intervals(report)),
        ("not visible", unseen(report)),
    ]
    if report.at:
        found.append(("made", f"{datetime.fromtimestamp(report.at, UTC):%F %H:%M} UTC"))
    found += [("ladder", report.ladder_digest[:19])]
    if report.evidence:
        found.append(("evidence", report.evidence))
    return found


def _named(version: Version) -> str:
    pin = f" [{version.pin}]" if version.pin else ""
    return f"{version.name}{pin}: {seen(version)}"


def _intervals(report: Report) -> str:
    if report.clustered:
        return "95 %, requests of one user or session taken for dependent"
    return "95 %, requests taken for independent; name their user to allow for more"
