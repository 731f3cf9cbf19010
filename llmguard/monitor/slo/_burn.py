"""How fast an error budget is spent, and when that is worth a person's time.

Multi-window, multi-burn-rate alerts as in chapter 5 of the Site Reliability Workbook,
with the windows and shares of the budget that Sloth uses: a rule fires when the budget
burns faster than its factor over a long and a short window, so that it neither fires
for what is long over nor goes on after the repair. Below `MIN_BAD` bad events in the
long window nothing fires: at ten calls an hour, one bad answer is a burn rate of 20.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from ...store import CountRow
from ...telemetry.objectives import Objective, count
from ..alerts import Severity

__all__ = [
    "MIN_BAD",
    "RULES",
    "BurnRule",
    "Firing",
    "Point",
    "burn_rate",
    "burning",
    "timelines",
]

MIN_BAD: Final = 5
"""Bad events that a long window must hold before its rule may fire."""

MINUTE: Final = 60.0
HOUR: Final = 3600.0
FINE: Final = 6 * HOUR
"""Windows up to here are summed from minutes, longer ones from hours."""


class Point(NamedTuple):
    """Good and all events of one minute or hour, which begins at `start`."""

    start: float
    good: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRule:
    """One pair of windows.

    Attributes:
        long: Seconds of the long window.
        short: Seconds of the short one.
        share: Share of the error budget that is gone when the long window burnt at
            the limit.
        severity: Of the alert.
    """

    long: float
    short: float
    share: float
    severity: Severity

    def factor(self, window: float) -> float:
        """Return how many times too fast it must burn, for a budget over `window`.

        `share * window / long`: 14.4, 6, 3 and 1 for 30 days.
        """
        return self.share * window / self.long

    @property
    def words(self) -> str:
        """The windows: `5m + 1h`."""
        return f"{span_words(self.short)} + {span_words(self.long)}"


RULES: Final = (
    BurnRule(long=HOUR, short=5 * MINUTE, share=0.02, severity="page"),
    BurnRule(long=6 * HOUR, short=30 * MINUTE, share=0.05, severity="page"),
    BurnRule(long=24 * HOUR, short=2 * HOUR, share=0.10, severity="warning"),
    BurnRule(long=72 * HOUR, short=6 * HOUR, share=0.10, severity="warning"),
)
"""Those of the Site Reliability Workbook, chapter 5, fastest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A rule that says the budget is spent too fast.

    Attributes:
        rule: Which one.
        bad: Bad events in its long window.
        total: All events there.
        long_burn: How many times too fast over the long window.
        short_burn: The same over the short one.
        since: Epoch seconds of the minute (or hour) from which on it burns.
    """

    rule: BurnRule
    bad: int
    total: int
    long_burn: float
    short_burn: float
    since: float


def span_words(seconds: float) -> str:
    """Return a window as Prometheus writes it: `5m`, `6h`, `3d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def timelines(
    objective: Objective, rows: Iterable[CountRow]
) -> Mapping[str, list[Point]]:
    """Return good and total over time, per version, from the store's counts."""
    sums: dict[tuple[str, float], list[int]] = {}
    for row in rows:
        good, total = count(objective, (row.pin, row.measure, row.label))
        if good or total:
            cell = sums.setdefault((row.pin, row.start), [0, 0])
            cell[0] += good * row.n
            cell[1] += total * row.n
    found: dict[str, list[Point]] = {}
    for (pin, start), (good, total) in sorted(sums.items()):
        # A correction that comes in a later minute than its answer: bad, not below 0.
        found.setdefault(pin, []).append(Point(start, good, total))
    return found


def burn_rate(objective: Objective, points: Sequence[Point]) -> float:
    """Return the share of bad events over the share that may be bad; 0 for none."""
    total = sum(point.total for point in points)
    if total <= 0:
        return 0.0
    bad = total - sum(point.good for point in points)
    return max(0.0, bad / total / objective.budget)


def burning(
    objective: Objective,
    minutes: Sequence[Point],
    hours: Sequence[Point],
    now: float,
) -> Firing | None:
    """Return the first rule that fires, the most urgent one, or None.

    Args:
        objective: What is owed.
        minutes: The last six hours of one version, by minute.
        hours: The last three days, by hour.
        now: Epoch seconds.
    """
    for rule in RULES:
        long = _last(minutes if rule.long <= FINE else hours, rule.long, now)
        short = _last(minutes, rule.short, now)
        total = sum(point.total for point in long)
        bad = total - sum(point.good for point in long)
        if bad < MIN_BAD:
            continue
        factor = rule.factor(objective.window)
        burns = burn_rate(objective, long), burn_rate(objective, short)
        if min(burns) > factor:
            return Firing(
                rule=rule,
                bad=bad,
                total=total,
                long_burn=burns[0],
                short_burn=burns[1],
                since=_began(objective, long, factor),
            )
    return None


def _last(points: Sequence[Point], seconds: float, now: float) -> list[Point]:
    size = HOUR if seconds > FINE else MINUTE
    start = (now - seconds) // size * size
    return [point for point in points if point.start >= start]


def _began(objective: Objective, points: Sequence[Point], factor: float) -> float:
    """Return where the excess over the limit began: the last zero of its CUSUM."""
    limit = factor * objective.budget
    since, excess = points[0].start, 0.0
    for point in points:
        if excess <= 0.0:
            since, excess = point.start, 0.0
        excess += (point.total - point.good) - limit * point.total
    return since
