"""Words and numbers that every rendering uses alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from .._sentences import percent
from .._types import Status, Verdict

if TYPE_CHECKING:
    from .._report import AssertionReport, Report, SliceReport, VersionInfo

__all__ = [
    "claim",
    "clip",
    "facts",
    "flips",
    "interval",
    "lead",
    "percent",
    "rate",
    "status",
    "tame",
    "version",
    "when",
]


_WILD: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What moves a cursor, colours a terminal or turns the order of letters around."""


def tame(text: str) -> str:
    """Return text that cannot steer what shows it; models write anything."""
    return _WILD.sub("\ufffd", text)


def clip(text: str, most: int) -> str:
    """Return one line of at most `most` characters, tamed."""
    line = tame(" ".join(text[: 8 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}\u2026"


def when(at: float) -> str:
    """Return epoch seconds as UTC to the minute."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def version(info: VersionInfo) -> str:
    """Return what one arm was."""
    origin = ", from a recording" if info.recorded else ""
    return f"{info.model} ({info.provider}, {info.pin}{origin})"


def status(one: AssertionReport) -> str:
    """Return where an assertion stands; those without a say are marked."""
    return f"{one.status}" if one.gating else f"{one.status} (pending)"


def claim(one: AssertionReport) -> str:
    """Return the two rates as `0.5 % / 2 %`, in points for relative assertions."""
    pair = f"{percent(one.tolerate)} / {percent(one.unacceptable)}"
    return f"+{pair.replace(' %', '')} points" if one.relative else pair


def rate(one: AssertionReport) -> str:
    """Return the observed rate; for relative assertions that of both arms."""
    if one.rate is None:
        return "-"
    if one.relative and one.incumbent_n:
        theirs = one.incumbent_failures / one.incumbent_n
        return f"{percent(theirs)} \u2192 {percent(one.failures / one.n)}"
    return percent(one.rate)


def interval(one: AssertionReport) -> str:
    """Return the 95 % interval, as a difference for relative assertions."""
    low, high = one.interval
    if one.relative:
        return f"{100 * low:+.3g} to {100 * high:+.3g} points"
    return f"{percent(low)} to {percent(high)}"


def flips(one: SliceReport) -> str:
    """Return what a slice shows, in words."""
    name = one.name or "(no slice)"
    said = f"{name}: {one.failures} of {one.n} failed ({percent(one.rate)})"
    if one.incumbent_n:
        said += f", the incumbent {one.incumbent_failures} of {one.incumbent_n}"
    if one.flipped:
        said += f"; {one.flipped} {'cases' if one.flipped > 1 else 'case'} flipped"
    return said


def lead(report: Report) -> str:
    """Return the reason, and where the deciding assertion fails worst."""
    if report.verdict is not Verdict.BLOCK:
        return report.reason
    decided = [
        one for one in report.assertions if one.gating and one.status is Status.BLOCKED
    ]
    worst = next((each for one in decided[:1] for each in one.slices), None)
    if worst is None or not worst.name or not worst.failures:
        return report.reason
    return f"{report.reason}; worst in {flips(worst)}"


def facts(report: Report) -> list[tuple[str, str]]:
    """Return what a reader asks first, as names and values."""
    spent = "no price known" if report.cost is None else f"${report.cost:.4f}"
    found = [
        ("suite", f"{report.suite} ({report.suite_digest[:19]})"),
        ("function", report.function),
        ("candidate", version(report.candidate)),
    ]
    if report.incumbent is not None:
        found.append(("incumbent", version(report.incumbent)))
    found += [
        ("calls", f"{report.calls} in {report.rounds} rounds of {report.cases} cases"),
        ("cost", spent),
        ("when", f"{when(report.started)}, {report.elapsed:.1f} s, {report.stopped}"),
        ("odds", _odds(report)),
        ("seed", str(report.seed)),
    ]
    if report.infrastructure:
        bad = ", ".join(f"{n} {kind}" for kind, n in report.infrastructure.items())
        found.append(("not judged", bad))
    if report.journal:
        found.append(("journal", report.journal))
    if report.evidence:
        found.append(("evidence", report.evidence))
    return found


def _odds(report: Report) -> str:
    return (
        f"blocks a good version at most once in {1 / report.alpha:.0f} runs, accepts "
        f"an unacceptable rate at most once in {1 / report.beta:.0f}"
    )


MARKS = {
    Status.ACCEPTED: "ok",
    Status.BLOCKED: "BLOCKED",
    Status.OPEN: "undecided",
    Status.ERROR: "ERROR",
}
"""Short words for tables."""
