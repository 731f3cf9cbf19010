"""The week in one page: versions and owners, upgrades, objectives, what ends soon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ...errors import LockError
from ...pins import HORIZON, Lock, ending, load_lock
from ...promotion import Notes, notes
from ...store import Event, Store
from ..slo._week import WEEK, SloWeek, weeks
from ..slo._words import week_markdown
from ._gather import upgrades_of
from ._markdown import moment
from ._upgrades import Upgrade

__all__ = ["Weekly", "weekly", "weekly_markdown"]

_LISTED: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """What a team looks at once a week.

    Attributes:
        env: Environment.
        at: Epoch seconds.
        versions: What runs, since when, by whom, whose it is.
        upgrades: Upgrades that users met, or that ended, in the week.
        objectives: Each objective's week.
        calls: Calls by function and how they ended.
        alerts: Alerts of the week.
        breakers: Breakers that are not closed: key, state, reason.
        shutdowns: Announced ends within the horizon.
    """

    env: str
    at: float
    versions: Notes
    upgrades: Sequence[Upgrade]
    objectives: Sequence[SloWeek]
    calls: Mapping[str, Mapping[str, int]]
    alerts: Sequence[Event]
    breakers: Sequence[tuple[str, str, str]]
    shutdowns: Sequence[str]

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "env": self.env,
            "at": self.at,
            "versions": asdict(self.versions),
            "upgrades": [one.document() for one in self.upgrades],
            "objectives": [one.document() for one in self.objectives],
            "calls": {name: dict(counts) for name, counts in self.calls.items()},
            "alerts": [
                {"at": one.at, "kind": one.kind, "pin": one.pin, **dict(one.detail)}
                for one in self.alerts
            ],
            "breakers": [list(one) for one in self.breakers],
            "shutdowns": list(self.shutdowns),
        }


def weekly(store: Store, env: str, *, now: float, lock: Lock | None = None) -> Weekly:
    """Gather the last seven days.

    Args:
        store: The store of the environment.
        env: Environment.
        now: Epoch seconds.
        lock: What may run; by default the configured lock.

    Raises:
        ConfigError: A newer version wrote an objective into the store, or the lock
            cannot be read.
        StoreError: The store cannot be read.
    """
    lock = _lock() if lock is None else lock
    since = now - WEEK
    upgrades = [
        one
        for route in sorted(store.ledger.route_states(env))
        for one in upgrades_of(store, env, route)
        if one.exposed >= since or (one.ended is not None and one.ended >= since)
    ]
    today = datetime.fromtimestamp(now, UTC).date()
    ends = [
        ending(pin, horizon=HORIZON, today=today)
        for route in lock.routes.values()
        for pin in [lock.pins.get(route.active)]
        if pin is not None
    ]
    return Weekly(
        env=env,
        at=now,
        versions=notes(store=store, env=env, lock=lock, now=now),
        upgrades=upgrades,
        objectives=weeks(store, env, now=now),
        calls=_calls(store, since),
        alerts=store.events.list(env=env, kind="alert.", since=since, until=now),
        breakers=[
            (row.key, row.state, row.reason)
            for row in store.list_breakers()
            if row.state != "closed"
        ],
        shutdowns=[one for one in ends if one],
    )


def _lock() -> Lock:
    try:
        return load_lock()
    except LockError:
        return Lock()


def _calls(store: Store, since: float) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for row in store.activity(since=since):
        if not row["tier"]:
            counts = found.setdefault(str(row["function"]), Counter())
            counts[str(row["kind"])] += int(str(row["n"]))
    return found


def weekly_markdown(week: Weekly, tiers: Sequence[str] = ()) -> str:
    """Return it as Markdown.

    Args:
        week: What was gathered.
        tiers: Lines on what each lower tier is worth, from `llmguard status`.
    """
    lines = [
        f"# Week to {moment(week.at)}, {week.env}",
        "",
        "## Versions",
        "",
        *_versions(week),
        "",
        "## Upgrades",
        "",
        *(_upgrades(week) or ["No version was moved to or from users."]),
        "",
        "## Calls",
        "",
        *(_traffic(week) or ["No call was recorded."]),
        "",
        "## Objectives",
        "",
        "\n\n".join(
            week_markdown(one).replace("## ", "### ", 1) for one in week.objectives
        )
        or "No objective is declared: `@contract(..., slos=[...])`.",
        "",
        "## Tiers",
        "",
        *(f"- {line}" for line in tiers or ["No tier was tried."]),
        "",
        "## Alerts and breakers",
        "",
        *(_alerts(week) or ["None."]),
        "",
        "## Ends soon",
        "",
        *(f"- {one}" for one in week.shutdowns or ["nothing within 90 days"]),
        "",
    ]
    return "\n".join(lines)


def _versions(week: Weekly) -> Iterator[str]:
    yield "| route | model | version | since | owner | rollback leads to |"
    yield "|---|---|---|---|---|---|"
    for one in week.versions.routes:
        canary = f" and canary {one.canary}" if one.canary else ""
        yield (
            f"| {one.route} | {one.model or '-'} | {one.pin}{canary} | "
            f"{one.since or 'the lock'} | {one.owner or 'nobody named'} | "
            f"{one.rollback_to or '-'} |"
        )


def _upgrades(week: Weekly) -> list[str]:
    return [
        f"- {one.route} {one.number}: {one.pin} after {one.incumbent or 'none'}, "
        f"{moment(one.exposed)}, {one.end}{' by itself' if one.automatic else ''}: "
        f"`llmguard postmortem {one.route} --upgrade {one.number}`"
        for one in week.upgrades
    ]


def _traffic(week: Weekly) -> list[str]:
    found: list[str] = []
    for function, counts in sorted(week.calls.items()):
        total = sum(counts.values())
        parts = ", ".join(
            f"{n} {word} ({n / total:.1%})" for word, n in sorted(counts.items())
        )
        found.append(f"- {function}: {total} calls: {parts}")
    return found


def _alerts(week: Weekly) -> list[str]:
    lines = [
        f"- {key} is {state} ({reason}): `llmguard breaker list`"
        for key, state, reason in week.breakers
    ]
    for one in week.alerts[-_LISTED:]:
        said = one.detail.get("evidence", "")
        signal = one.detail.get("signal", "")
        word = one.kind.removeprefix("alert.")
        lines.append(f"- {moment(one.at)} {word} {signal} {one.pin}: {said}")
    if len(week.alerts) > _LISTED:
        lines.append(f"- and {len(week.alerts) - _LISTED} earlier ones")
    return lines
