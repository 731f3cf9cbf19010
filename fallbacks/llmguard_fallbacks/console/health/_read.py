"""How guarded functions do: calls over time, tiers, breakers, objectives, events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from llmguard.errors import ConfigError
from llmguard.monitor.slo import SloStatus, statuses
from llmguard.promotion.overview import Report, TierLine, gather
from llmguard.store.counts import HOUR, MINUTE

if TYPE_CHECKING:
    from llmguard.store import BreakerRow, CountRow, Event, Store

__all__ = ["BreakerView", "Calls", "HealthPage", "health", "recent_events"]

_FINE: Final = 6 * HOUR
"""Spans up to here are counted by the minute, longer ones by the hour."""
_WORDS: Final = {"ok": "ok", "degraded": "degraded", "deferred": "deferred"}
_CALM: Final = frozenset({"closed"})
_EVENTS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls of one function over time.

    Attributes:
        function: Qualified name.
        buckets: By start, in order: how many calls ended `ok`, `degraded`, `deferred`
            or `failed`.
        kinds: The failed ones by kind, in all.
        span: Seconds of a bucket.
    """

    function: str
    buckets: Sequence[tuple[float, Mapping[str, int]]]
    kinds: Mapping[str, int]
    span: float

    def total(self, word: str = "") -> int:
        """Return how many calls ended so; all of them without a word."""
        return sum(
            n for _, found in self.buckets for w, n in found.items() if word in {"", w}
        )

    def share(self, word: str) -> float | None:
        """Return the share of calls that ended so; None without calls."""
        total = self.total()
        return self.total(word) / total if total else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """One breaker that is not simply closed, or was ever moved.

    Attributes:
        row: As it is published.
        function: Qualified name.
        pin: Id of the version.
        calm: True for a closed one.
        command: What ends its state; empty where nothing has to be done.
    """

    row: BreakerRow
    function: str
    pin: str
    calm: bool
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPage:
    """Everything that the page of health shows, but the monitor's charts.

    Attributes:
        report: What `llmguard status` knows.
        calls: Per function, the one with most calls first.
        tiers: Tiers of each function, in order of their names.
        breakers: Those that are not calm first.
        slos: Objectives, those that fire or are spent first.
        problem: Why objectives cannot be read; empty when they can.
        events: Recent ones, the newest first.
    """

    report: Report
    calls: Sequence[Calls]
    tiers: Mapping[str, Sequence[TierLine]]
    breakers: Sequence[BreakerView]
    slos: Sequence[SloStatus]
    problem: str = ""
    events: Sequence[Event] = field(default_factory=list["Event"])

    @property
    def empty(self) -> bool:
        """True when nothing was recorded yet."""
        return not (self.calls or self.tiers or self.breakers or self.slos)


def health(store: Store, env: str, *, now: float, span: float) -> HealthPage:
    """Read how an environment does.

    Args:
        store: The store.
        env: Environment.
        now: Epoch seconds.
        span: Seconds that calls are looked back on.
    """
    report = gather(store, window=span, now=now, env=env)
    tiers: dict[str, list[TierLine]] = {}
    for line in report.tiers:
        tiers.setdefault(line.function, []).append(line)
    slos, problem = _slos(store, env, now)
    calls = _calls(store, env, now, span)
    return HealthPage(
        report=report,
        calls=sorted(calls, key=lambda one: (-one.total(), one.function)),
        tiers=dict(sorted(tiers.items())),
        breakers=_breakers(store),
        slos=slos,
        problem=problem,
        events=recent_events(store, env, limit=_EVENTS),
    )


def recent_events(
    store: Store,
    env: str,
    *,
    kind: str = "",
    until: float | None = None,
    limit: int = 50,
) -> list[Event]:
    """Return what happened to models and who noticed, the newest first.

    Args:
        store: The store.
        env: Environment.
        kind: A kind, or its first word and a dot; empty for all.
        until: Epoch seconds, included; None for the newest.
        limit: At most so many.
    """
    return list(
        store.events.list(
            env=env, kind=kind or None, until=until, newest_first=True, limit=limit
        )
    )


def _calls(store: Store, env: str, now: float, span: float) -> list[Calls]:
    size = MINUTE if span <= _FINE else HOUR
    width = max(size, span / 60 // size * size)
    start = (now - span) // width * width
    names = sorted(
        {
            row.function
            for row in store.counts.sums(env, since=start, span=size)
            if row.measure == "call"
        }
    )
    return [
        _one(
            name,
            store.counts.series(env, function=name, since=start, span=size),
            width,
        )
        for name in names
    ]


def _one(function: str, rows: Sequence[CountRow], width: float) -> Calls:
    buckets: dict[float, Counter[str]] = {}
    kinds: Counter[str] = Counter()
    for row in rows:
        if row.measure != "call":
            continue
        word = _WORDS.get(row.label, "failed")
        if word == "failed":
            kinds[row.label] += row.n
        at = row.start // width * width
        buckets.setdefault(at, Counter())[word] += row.n
    return Calls(
        function=function,
        buckets=sorted(buckets.items()),
        kinds=dict(kinds.most_common()),
        span=width,
    )


def _breakers(store: Store) -> list[BreakerView]:
    found: list[BreakerView] = []
    for row in store.list_breakers():
        function, _, pin = row.key.partition("|")
        held = row.state == "quarantined" or row.state.startswith("forced")
        found.append(
            BreakerView(
                row=row,
                function=function,
                pin=pin,
                calm=row.state in _CALM,
                command=f"llmguard breaker resume '{row.key}'" if held else "",
            )
        )
    return sorted(found, key=lambda one: (one.calm, -one.row.since))


def _slos(store: Store, env: str, now: float) -> tuple[list[SloStatus], str]:
    order = {"firing": 0, "spent": 1, "ok": 2, "no data": 3}
    try:
        found = statuses(store, env, now=now)
    except ConfigError as error:
        return [], str(error)
    return sorted(found, key=lambda one: order[one.word]), ""
