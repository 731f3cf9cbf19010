"""Where every objective stands: attainment, budget, burn rates, per version too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final

from ...errors import ConfigError
from ...store import CountRow, Store
from ...store.counts import HOUR, MINUTE
from ...telemetry.objectives import Objective
from ._budget import budget_words
from ._burn import (
    RULES,
    Firing,
    Point,
    burn_rate,
    burning,
    span_words,
    timelines,
)

__all__ = ["SloStatus", "VersionStatus", "objectives_of", "statuses", "wilson"]

_Z: Final = 1.959964
_WINDOWS: Final = tuple(
    sorted({rule.long for rule in RULES} | {r.short for r in RULES})
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionStatus:
    """How one version does, or all of them together.

    Attributes:
        pin: The version; empty for all.
        good: Good events in the objective's window.
        total: All events.
        low: Lower end of the 95 % interval of the share of good events (Wilson).
        high: Upper end.
        budget: Share of the events that may be bad.
        budget_left: Share of the error budget that is left; below 0 when it is spent.
        burns: Burn rate by window, `5m` to `3d`.
        firing: The most urgent rule that fires, or None.
    """

    pin: str
    good: int
    total: int
    low: float
    high: float
    budget: float
    budget_left: float
    burns: Mapping[str, float]
    firing: Firing | None

    @property
    def share(self) -> float | None:
        """Share of good events; None without events."""
        return self.good / self.total if self.total else None

    @property
    def bad(self) -> int:
        """Bad events."""
        return self.total - self.good

    @property
    def budget_words(self) -> str:
        """Say what is left of the budget, or how often it was spent, with counts."""
        return budget_words(self.bad, self.total, self.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class SloStatus:
    """Where one objective of one function stands.

    Attributes:
        function: Qualified name.
        objective: What it owes.
        overall: All versions together: what callers met.
        versions: Each version on its own, the one with most events first.
    """

    function: str
    objective: Objective
    overall: VersionStatus
    versions: Sequence[VersionStatus] = field(default_factory=list[VersionStatus])

    @property
    def word(self) -> str:
        """Return `no data`, `firing`, `spent` (the budget), or `ok`."""
        everyone = (self.overall, *self.versions)
        if any(each.firing is not None for each in everyone):
            return "firing"
        if not self.overall.total:
            return "no data"
        return "spent" if self.overall.budget_left < 0 else "ok"

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "function": self.function,
            "objective": self.objective.document(),
            "sentence": self.objective.sentence(),
            "state": self.word,
            "overall": _document(self.overall),
            "versions": [_document(each) for each in self.versions],
        }


def _document(one: VersionStatus) -> dict[str, Any]:
    firing = one.firing
    return {
        "pin": one.pin,
        "good": one.good,
        "total": one.total,
        "share": one.share,
        "interval": [one.low, one.high],
        "bad": one.bad,
        "allowed": one.total * one.budget,
        "budget_left": one.budget_left,
        "budget": one.budget_words,
        "burn_rates": dict(one.burns),
        "firing": None
        if firing is None
        else {
            "windows": firing.rule.words,
            "severity": firing.rule.severity,
            "bad": firing.bad,
            "total": firing.total,
            "long_burn": firing.long_burn,
            "short_burn": firing.short_burn,
            "since": firing.since,
        },
    }


def wilson(good: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927); 0 to 1 without events."""
    if total <= 0:
        return 0.0, 1.0
    share = min(1.0, max(0.0, good / total))
    z2 = _Z * _Z
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    half *= _Z / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def objectives_of(store: Store, env: str) -> Mapping[str, list[Objective]]:
    """Return what the programs that used the store have declared, by function.

    Raises:
        ConfigError: A stored objective is of a newer version of llmguard.
    """
    found: dict[str, list[Objective]] = {}
    for (function, name), body in store.counts.objectives(env).items():
        try:
            objective = Objective(**json.loads(body))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"objective {name!r} of `{function}` in the store cannot be read "
                f"({error}): a newer llmguard wrote it; upgrade this one"
            ) from error
        found.setdefault(function, []).append(objective)
    return found


def statuses(
    store: Store,
    env: str,
    *,
    now: float,
    functions: Sequence[str] = (),
) -> list[SloStatus]:
    """Return where the objectives stand, by function and name.

    Args:
        store: The store.
        env: Environment.
        now: Epoch seconds.
        functions: Only these, by qualified name or its end; all when empty.

    Raises:
        ConfigError: A newer version wrote an objective into the store.
        StoreError: The store cannot be read.
    """
    found: list[SloStatus] = []
    for function, objectives in sorted(objectives_of(store, env).items()):
        if functions and not any(_matches(function, name) for name in functions):
            continue
        longest = max(one.window for one in objectives)
        minutes = store.counts.series(env, function=function, since=now - 6 * HOUR)
        hours = store.counts.series(
            env, function=function, since=now - max(longest, 72 * HOUR), span=HOUR
        )
        found += [_status(function, one, minutes, hours, now) for one in objectives]
    return found


def _matches(function: str, name: str) -> bool:
    return function == name or function.endswith(f".{name}")


def _status(
    function: str,
    objective: Objective,
    minutes: Sequence[CountRow],
    hours: Sequence[CountRow],
    now: float,
) -> SloStatus:
    fine, coarse = timelines(objective, minutes), timelines(objective, hours)
    versions = [
        _version(objective, pin, fine.get(pin, []), points, now)
        for pin, points in coarse.items()
        if pin
    ]
    return SloStatus(
        function=function,
        objective=objective,
        overall=_version(
            objective, "", _merged(fine.values()), _merged(coarse.values()), now
        ),
        versions=sorted(versions, key=lambda each: -each.total),
    )


def _merged(lines: Iterable[Sequence[Point]]) -> list[Point]:
    sums: dict[float, list[int]] = {}
    for points in lines:
        for point in points:
            cell = sums.setdefault(point.start, [0, 0])
            cell[0] += point.good
            cell[1] += point.total
    return [Point(start, *cell) for start, cell in sorted(sums.items())]


def _version(
    objective: Objective,
    pin: str,
    minutes: Sequence[Point],
    hours: Sequence[Point],
    now: float,
) -> VersionStatus:
    start = (now - objective.window) // HOUR * HOUR
    inside = [point for point in hours if point.start >= start]
    total = max(0, sum(point.total for point in inside))
    good = min(total, max(0, sum(point.good for point in inside)))
    low, high = wilson(good, total)
    spent = (total - good) / (total * objective.budget) if total else 0.0
    return VersionStatus(
        pin=pin,
        good=good,
        total=total,
        low=low,
        high=high,
        budget=objective.budget,
        budget_left=1.0 - spent,
        burns={
            span_words(seconds): burn_rate(
                objective, _recent(minutes, hours, seconds, now)
            )
            for seconds in _WINDOWS
        },
        firing=burning(objective, minutes, hours, now),
    )


def _recent(
    minutes: Sequence[Point], hours: Sequence[Point], seconds: float, now: float
) -> list[Point]:
    points, size = (minutes, MINUTE) if seconds <= 6 * HOUR else (hours, HOUR)
    start = (now - seconds) // size * size
    return [point for point in points if point.start >= start]
