"""What `llmguard status` knows, gathered from the store; no printing here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

from ..store import Store

__all__ = ["Report", "TierLine", "gather"]

_ALIVE_SECONDS: Final = 10.0
_PROVEN_SECONDS: Final = 86_400.0


@dataclass(frozen=True, kw_only=True)
class TierLine:
    """One tier of one function over the window.

    Attributes:
        function: Qualified name.
        tier: Name of the tier.
        pin: Pin id, empty for tiers that are not models.
        answered: Attempts that ended `ok`.
        failed: Attempts that ended otherwise, by kind.
        last_ok: Epoch seconds of its last good answer; None when there was none.
        mean_ms: Mean time of its good answers in milliseconds.
        proven: True when it answered within the last 24 hours.
    """

    function: str
    tier: str
    pin: str
    answered: int
    failed: Mapping[str, int]
    last_ok: float | None
    mean_ms: float | None
    proven: bool


@dataclass(kw_only=True)
class Report:
    """Everything `llmguard status` shows."""

    store: str
    at: float
    window: float
    processes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    calls: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    tiers: list[TierLine] = field(default_factory=list[TierLine])
    breakers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    queues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    todo: list[str] = field(default_factory=list[str])

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def gather(store: Store, *, window: float, now: float | None = None) -> Report:
    """Read the store and say what an engineer on call should do."""
    now = time.time() if now is None else now
    report = Report(store=store.url, at=now, window=window)
    report.processes = [
        {**row, "alive": now - float(cast("Any", row["at"])) < _ALIVE_SECONDS}
        for row in store.processes()
    ]
    rows = store.activity(since=now - window)
    report.calls = _calls(rows)
    report.tiers = _tiers(rows, now)
    report.breakers = [asdict(row) for row in store.list_breakers()]
    report.queues = [
        {**asdict(stats), "counts": dict(stats.counts)}
        for stats in store.tickets.stats()
    ]
    report.todo = _todo(report)
    return report


def _calls(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return calls per function: how many, and how many were degraded or failed."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        if row["tier"]:
            continue
        mine = found.setdefault(row["function"], {"calls": 0, "ok": 0, "degraded": 0})
        mine["calls"] += row["n"]
        mine[row["kind"]] = mine.get(row["kind"], 0) + row["n"]
    return found


def _tiers(rows: Sequence[Mapping[str, Any]], now: float) -> list[TierLine]:
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["tier"]:
            key = (row["function"], row["tier"], row["pin"])
            grouped.setdefault(key, []).append(row)
    return [_tier_line(key, mine, now) for key, mine in sorted(grouped.items())]


def _tier_line(
    key: tuple[str, str, str], rows: Sequence[Mapping[str, Any]], now: float
) -> TierLine:
    good = [row for row in rows if row["kind"] == "ok"]
    answered = sum(row["n"] for row in good)
    last = max((row["last_at"] for row in good), default=None)
    took = sum(row["total_elapsed"] for row in good)
    return TierLine(
        function=key[0],
        tier=key[1],
        pin=key[2],
        answered=answered,
        failed={r["kind"]: r["n"] for r in rows if r["kind"] != "ok"},
        last_ok=last,
        mean_ms=1000 * took / answered if answered else None,
        proven=last is not None and now - last < _PROVEN_SECONDS,
    )


def _todo(report: Report) -> list[str]:
    """Return one sentence with one command for each thing that needs a person."""
    todo: list[str] = []
    for row in report.breakers:
        if row["state"] == "quarantined":
            todo.append(
                f"{row['key']} is quarantined ({row['reason']}): look at its answers, "
                f"then `llmguard breaker resume '{row['key']}'`"
            )
        elif row["state"].startswith("forced"):
            todo.append(
                f"{row['key']} is {row['state']} by {row['actor']} ({row['reason']}): "
                f"`llmguard breaker resume '{row['key']}'` ends that"
            )
    for queue in report.queues:
        waiting = queue["counts"].get("open", 0) + queue["counts"].get("claimed", 0)
        if waiting:
            late = f", {queue['late']} late" if queue["late"] else ""
            todo.append(
                f"{waiting} tickets wait in queue {queue['queue']!r}{late}: "
                f"`llmguard queue list --queue {queue['queue']}`"
            )
    return todo
