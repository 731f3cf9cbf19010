"""What a week did to the error budgets: attainment, causes, alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ...store import CountRow, Event, Store
from ...store.counts import HOUR
from ...telemetry.objectives import Objective, count
from ._budget import budget_words
from ._status import objectives_of, wilson

__all__ = ["WEEK", "SloWeek", "weeks"]

WEEK: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SloWeek:
    """One objective over one week, beside the week before.

    Attributes:
        function: Qualified name.
        objective: What it owes.
        good: Good events of the week.
        total: All of them.
        before: Good and all events of the week before.
        causes: Bad events by version and what they were: `p-1`, `schema`, 12.
        alerts: When each alert on it came, and what it said.
    """

    function: str
    objective: Objective
    good: int
    total: int
    before: tuple[int, int]
    causes: Sequence[tuple[str, str, int]] = ()
    alerts: Sequence[Event] = field(default_factory=list[Event])

    @property
    def spent(self) -> float:
        """Share of a week's error budget that was spent; above 1 is overspent."""
        if not self.total:
            return 0.0
        return (self.total - self.good) / (self.total * self.objective.budget)

    @property
    def budget_words(self) -> str:
        """Say what is left of a week's budget, or how often it was spent."""
        bad = self.total - self.good
        return budget_words(bad, self.total, self.objective.budget)

    @property
    def met(self) -> bool | None:
        """Whether the week alone met the target; None without events."""
        return self.good / self.total >= self.objective.target if self.total else None

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "function": self.function,
            "objective": self.objective.document(),
            "sentence": self.objective.sentence(),
            "good": self.good,
            "total": self.total,
            "share": self.good / self.total if self.total else None,
            "interval": list(wilson(self.good, self.total)),
            "met": self.met,
            "budget_spent": self.spent,
            "week_before": {"good": self.before[0], "total": self.before[1]},
            "causes": [
                {"pin": pin, "cause": cause, "n": n} for pin, cause, n in self.causes
            ],
            "alerts": [
                {"at": one.at, "pin": one.pin, **dict(one.detail)}
                for one in self.alerts
            ],
        }


def weeks(store: Store, env: str, *, now: float) -> list[SloWeek]:
    """Return the last seven days of every objective, by function and name."""
    alerts = store.events.list(env=env, kind="alert.", since=now - WEEK, until=now)
    found: list[SloWeek] = []
    for function, objectives in sorted(objectives_of(store, env).items()):
        rows = store.counts.series(
            env, function=function, since=now - 2 * WEEK, span=HOUR
        )
        found += [_week(function, one, rows, alerts, now) for one in objectives]
    return found


def _week(
    function: str,
    objective: Objective,
    rows: Sequence[CountRow],
    alerts: Sequence[Event],
    now: float,
) -> SloWeek:
    sums = {False: [0, 0], True: [0, 0]}
    causes: Counter[tuple[str, str]] = Counter()
    start = (now - WEEK) // HOUR * HOUR
    for row in rows:
        good, total = count(objective, (row.pin, row.measure, row.label))
        cell = sums[row.start >= start]
        cell[0] += good * row.n
        cell[1] += total * row.n
        if row.start >= start and good < total:
            causes[row.pin, _cause(objective, row)] += (total - good) * row.n
    (before_good, before), (good, total) = sums[False], sums[True]
    if objective.threshold is not None:
        causes = _slow(causes, rows, objective, start)
    return SloWeek(
        function=function,
        objective=objective,
        good=good,
        total=total,
        before=(before_good, before),
        causes=[(*key, n) for key, n in causes.most_common(10) if n],
        alerts=[one for one in alerts if _is_about(one.detail, function, objective)],
    )


def _cause(objective: Objective, row: CountRow) -> str:
    return row.label or objective.name


def _slow(
    causes: Counter[tuple[str, str]],
    rows: Sequence[CountRow],
    objective: Objective,
    start: float,
) -> Counter[tuple[str, str]]:
    """Turn calls and fast calls, which are counted apart, into slow ones."""
    word = f"over {objective.threshold:g} s"
    slow: Counter[tuple[str, str]] = Counter()
    for (pin, _), n in causes.items():
        slow[pin, word] += n
    for row in rows:
        if row.start >= start and row.measure == "within":
            good, _ = count(objective, (row.pin, row.measure, row.label))
            slow[row.pin, word] -= good * row.n
    return slow


def _is_about(
    detail: Mapping[str, object], function: str, objective: Objective
) -> bool:
    return (
        detail.get("function") == function
        and detail.get("signal") == f"slo.{objective.name}"
    )
