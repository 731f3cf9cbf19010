"""How a version did among users, beside the one before it, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from ...store import CountRow, Store
from ...store.counts import HOUR, MINUTE
from ...telemetry.objectives import DAY, Objective, Sli, count
from ..slo._status import wilson
from ._upgrades import Upgrade

__all__ = ["Measure", "calls_between", "measures", "newcombe", "rows_between"]

_LONGEST: Final = 7 * DAY
_FINE: Final = 3.5 * DAY
_WHAT: Final = (
    (Sli.CONTRACT_VALID, "first answers that break the contract"),
    (Sli.SCHEMA_VALID, "first answers that break the schema"),
    (Sli.NOT_REFUSED, "first answers that are refusals"),
    (Sli.NOT_DEGRADED, "calls that the first tier did not answer"),
    (Sli.ANSWERED, "calls without any answer"),
    (Sli.UNCORRECTED, "answers that people corrected"),
    (Sli.ACCEPTED, "answers that were rejected downstream"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A share of bad events, before and after.

    Attributes:
        name: What was counted.
        before: Bad and all events of the incumbent before users met the new version.
        after: Bad and all events of the new version.
        before_range: 95 % interval of the share before (Wilson).
        after_range: The same after.
        change: 95 % interval of after less before (Newcombe's method 10); None where
            one side has no events.
    """

    name: str
    before: tuple[int, int]
    after: tuple[int, int]
    before_range: tuple[float, float]
    after_range: tuple[float, float]
    change: tuple[float, float] | None

    @property
    def verdict(self) -> str:
        """Return `worse`, `better`, `no difference seen` or `not comparable`."""
        if self.change is None:
            return "not comparable"
        if self.change[0] > 0:
            return "worse"
        return "better" if self.change[1] < 0 else "no difference seen"


def newcombe(bad_a: int, n_a: int, bad_b: int, n_b: int) -> tuple[float, float] | None:
    """Return the 95 % interval of share b less share a.

    Newcombe (1998), Statistics in Medicine 17:873, method 10: from the Wilson
    intervals of both.
    """
    if not n_a or not n_b:
        return None
    a, b = bad_a / n_a, bad_b / n_b
    (low_a, high_a), (low_b, high_b) = wilson(bad_a, n_a), wilson(bad_b, n_b)
    difference = b - a
    return (
        difference - sqrt((b - low_b) ** 2 + (high_a - a) ** 2),
        difference + sqrt((high_b - b) ** 2 + (a - low_a) ** 2),
    )


def measures(store: Store, upgrade: Upgrade, *, now: float) -> list[Measure]:
    """Return what can be compared: the incumbent before, the new version after.

    Both for up to seven days; what neither version has counted is left out.
    """
    end = min(upgrade.ended or now, upgrade.exposed + _LONGEST)
    span = max(end - upgrade.exposed, DAY)
    before = rows_between(
        store,
        upgrade.env,
        upgrade.incumbent,
        since=upgrade.exposed - span,
        until=upgrade.exposed,
        now=now,
    )
    after = rows_between(
        store,
        upgrade.env,
        upgrade.pin,
        since=upgrade.exposed,
        until=upgrade.ended or now,
        now=now,
    )
    found: list[Measure] = []
    for sli, name in _WHAT:
        was, became = _bad(sli, before), _bad(sli, after)
        if was[1] or became[1]:
            found.append(
                Measure(
                    name=name,
                    before=was,
                    after=became,
                    before_range=wilson(*was),
                    after_range=wilson(*became),
                    change=newcombe(*was, *became),
                )
            )
    return found


def rows_between(
    store: Store, env: str, pin: str, *, since: float, until: float, now: float
) -> list[CountRow]:
    """Return a version's counts of the minutes, or hours where those are gone."""
    if not pin:
        return []
    known = store.counts.sums(env)
    functions = sorted({row.function for row in known if row.pin == pin})
    span = MINUTE if now - since < _FINE else HOUR
    return [
        row
        for function in functions
        for row in store.counts.series(env, function=function, since=since, span=span)
        if row.pin == pin and row.start <= until
    ]


def calls_between(rows: Iterable[CountRow], until: float) -> int:
    """Return how many calls asked the version first, up to a time."""
    return sum(row.n for row in rows if row.measure == "call" and row.start <= until)


def _bad(sli: Sli, rows: Sequence[CountRow]) -> tuple[int, int]:
    objective = Objective(sli=sli, target=0.5)
    good = total = 0
    for row in rows:
        one, all_ = count(objective, (row.pin, row.measure, row.label))
        good += one * row.n
        total += all_ * row.n
    total = max(0, total)
    return min(total, max(0, total - good)), total
