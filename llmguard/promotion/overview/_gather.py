"""What runs now, gathered from the store, for `llmguard status` and the console."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, cast

from ... import config
from ...breaker._machine import GONE
from ...guard._fitness import PROOF_SECONDS
from ...store import Store
from ._routing import RoutingLine, routing_lines, routing_todo
from ._tiers import TierLine, tier_lines
from ._versions import VersionLine, endings, version_lines

__all__ = ["Report", "TierLine", "gather"]

_ALIVE_SECONDS: Final = 10.0


@dataclass(kw_only=True)
class Report:
    """Everything `llmguard status` shows."""

    store: str
    at: float
    window: float
    processes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    calls: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    tiers: list[TierLine] = field(default_factory=list[TierLine])
    routes: list[RoutingLine] = field(default_factory=list[RoutingLine])
    breakers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    queues: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    versions: list[VersionLine] = field(default_factory=list[VersionLine])
    todo: list[str] = field(default_factory=list[str])

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def gather(
    store: Store, *, window: float, now: float | None = None, env: str | None = None
) -> Report:
    """Read the store and say what an engineer on call should do.

    Args:
        store: The store.
        window: Seconds that counts go back.
        now: Epoch seconds; by default the present.
        env: Environment whose versions are shown; the one of this process by default.
    """
    now = time.time() if now is None else now
    report = Report(store=store.url, at=now, window=window)
    report.processes = [
        {**row, "alive": now - float(cast("Any", row["at"])) < _ALIVE_SECONDS}
        for row in store.processes()
    ]
    rows = store.activity(since=now - window)
    report.calls = _calls(rows)
    day = store.activity(since=now - PROOF_SECONDS)
    report.tiers = tier_lines(rows, day, report.processes, now=now)
    report.breakers = [asdict(row) for row in store.list_breakers()]
    report.queues = [
        {**asdict(stats), "counts": dict(stats.counts)}
        for stats in store.tickets.stats()
    ]
    report.routes = routing_lines(store, report.processes)
    report.versions = version_lines(store, env=env or config.load().env, now=now)
    report.todo = [
        *_todo(report),
        *routing_todo(store, report.processes, now=now),
        *endings(now=now),
    ]
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


def _refused(report: Report) -> list[str]:
    """Name models without a working key that too few calls asked to open a breaker."""
    shut = {row["key"] for row in report.breakers if row["state"] != "closed"}
    return [
        f"tier `{line.tier}` of {line.function} gave no good answer and was refused "
        f"its credentials: see whether the key is set and valid; `llmguard pin show "
        f"{line.pin}` names its variable"
        for line in report.tiers
        if line.failed.get("auth") and line.last_ok is None
        if f"{line.function}|{line.pin}" not in shut
    ]


def _todo(report: Report) -> list[str]:
    """Return one sentence with one command for each thing that needs a person."""
    todo: list[str] = []
    for row in report.breakers:
        pin = str(row["key"]).rpartition("|")[2]
        if row["state"] == "quarantined":
            todo.append(
                f"{row['key']} is quarantined ({row['reason']}), the tiers below it "
                f"answer: `llmguard rollback {pin}` goes back to the version before; "
                f"if its answers are good, `llmguard breaker resume '{row['key']}'`"
            )
        elif row["state"] == "open" and "(last: auth)" in row["reason"]:
            todo.append(
                f"{row['key']} is refused its credentials: see whether the key is "
                f"valid and has credit; `llmguard pin show {pin}` names its variable"
            )
        elif row["state"] == "open" and GONE in row["reason"]:
            todo.append(
                f"{row['key']} is gone at its provider: `llmguard rollback {pin}`, or "
                f"pin its successor: `llmguard pin add --help`"
            )
        elif row["state"].startswith("forced"):
            todo.append(
                f"{row['key']} is {row['state']} by {row['actor']} ({row['reason']}): "
                f"`llmguard breaker resume '{row['key']}'` ends that"
            )
    todo += _refused(report)
    for queue in report.queues:
        waiting = queue["counts"].get("open", 0) + queue["counts"].get("claimed", 0)
        if waiting:
            late = f", {queue['late']} late" if queue["late"] else ""
            wait = "tickets wait" if waiting > 1 else "ticket waits"
            todo.append(
                f"{waiting} {wait} in queue {queue['queue']!r}{late}: "
                f"`llmguard queue list --queue {queue['queue']}`"
            )
        if queue["callbacks_dead"]:
            dead = queue["callbacks_dead"]
            gone = "callbacks were" if dead > 1 else "callback was"
            todo.append(
                f"{dead} {gone} given up in queue {queue['queue']!r}: `llmguard queue "
                "callbacks` says why; `llmguard queue revive ID --reason TEXT` sends "
                "one again"
            )
    return todo
