"""Objectives in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from ._status import wilson
from ._week import SloWeek

__all__ = ["percent", "week_markdown"]


def percent(good: int, total: int) -> str:
    """Return a share with its 95 % interval: `99.40 % (98.9 to 99.7)`."""
    if not total:
        return "no events"
    low, high = wilson(good, total)
    return f"{100 * good / total:.2f} % ({100 * low:.1f} to {100 * high:.1f})"


def _of(good: int, total: int) -> str:
    return f"{percent(good, total)} of {total} events" if total else "no events"


def week_markdown(week: SloWeek) -> str:
    """Return one objective's week as a section."""
    objective = week.objective
    verdict = {True: "met", False: "MISSED", None: "no data"}[week.met]
    lines = [
        f"## {week.function}: {objective.name} ({verdict})",
        "",
        f"- Owes {objective.sentence()}. Owner: {objective.owner or 'nobody named'}.",
        (
            f"- This week: {_of(week.good, week.total)}; "
            f"a week's error budget: {week.budget_words}."
        ),
        f"- The week before: {_of(*week.before)}.",
    ]
    if week.causes:
        lines += ["", "| version | cause | events |", "|---|---|---|"]
        lines += [f"| {pin or '-'} | {cause} | {n} |" for pin, cause, n in week.causes]
    if week.alerts:
        lines += ["", "Alerts:", ""]
        lines += [_alert(one.at, one.kind, one.detail) for one in week.alerts]
    return "\n".join(lines)


def _alert(at: float, kind: str, detail: Mapping[str, object]) -> str:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
    return f"- {when} UTC {kind.removeprefix('alert.')}: {detail.get('evidence', '')}"
