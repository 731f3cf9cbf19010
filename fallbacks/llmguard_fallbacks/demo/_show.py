"""How the demo looks on a terminal: one line a ticket, then a summary."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import Any, Final

import click

from llmguard import Kind, Outcome

from ._story import ACTS, Act, Event, Line

__all__ = ["show_act", "show_line", "show_summary", "summary"]

_COLOURS: Final = {0: "green", 1: "cyan", 2: "yellow", 3: "magenta"}
_TICKET_WIDTH: Final = 44


def show_act(act: Act) -> None:
    """Print an act's heading."""
    click.secho(f"\n== {act.title}", bold=True)


def show_line(line: Line) -> None:
    """Print one ticket: its text, who answered, what, how fast, and what failed."""
    outcome = line.outcome
    text = " ".join(line.ticket.split())
    if len(text) > _TICKET_WIDTH:
        text = text[: _TICKET_WIDTH - 3] + "..."
    tier = outcome.tier or "person"
    place = outcome.tier_index if outcome.tier else 3
    shown = click.style(tier.ljust(13), fg=_COLOURS.get(place, "magenta"))
    answer = _answer(line)
    path = " > ".join(f"{a.tier}:{a.kind}" for a in outcome.attempts[:-1])
    click.echo(
        f"{line.number:3d}  {text.ljust(_TICKET_WIDTH)}  {shown} {answer.ljust(27)} "
        f"{1000 * outcome.elapsed:6.0f} ms  {path}".rstrip()
    )


def _answer(line: Line) -> str:
    if line.value is None:
        return f"ticket {line.outcome.ticket_id[-8:]}"
    person = " +person" if line.value.needs_human else ""
    return f"{line.value.category}/{line.value.priority}{person}"


def summary(
    lines: Sequence[Line], events: Sequence[Event], hits: int
) -> dict[str, Any]:
    """Return the figures of a run as JSON-able data."""
    answered = [line for line in lines if line.value is not None]
    valid = sum(line.outcome.kind is Kind.OK for line in answered)
    return {
        "tickets": len(lines),
        "answered": len(answered),
        "deferred_to_a_person": len(lines) - len(answered),
        "contract_valid": valid / len(answered) if answered else None,
        "failed": sum(not _settled(line.outcome) for line in lines),
        "requests_to_the_remote": hits,
        "per_tier": _per_tier(lines),
        "acts": [
            {"title": act.title, **_times([x for x in lines if x.act == index])}
            for index, act in enumerate(ACTS)
        ],
        "breaker": [
            {
                "at": round(event.at, 2),
                "from": event.transition.old,
                "to": event.transition.new,
                "reason": event.transition.reason,
            }
            for event in events
        ],
    }


def _settled(outcome: Outcome) -> bool:
    return outcome.kind is Kind.OK or bool(outcome.ticket_id)


def _per_tier(lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.outcome.tier or "person", []).append(line)
    return {
        tier: {
            "answers": len(mine),
            **_times(mine),
            "category_right": _right(mine),
        }
        for tier, mine in found.items()
    }


def _right(lines: Sequence[Line]) -> int | None:
    """Count categories that agree with the label; None where nobody decided yet."""
    if any(line.value is None for line in lines):
        return None
    right = [x for x in lines if x.value and x.value.category == x.label["category"]]
    return len(right)


def _times(lines: Sequence[Line]) -> dict[str, float]:
    """Return the median and the 95th percentile in milliseconds."""
    took = [1000 * line.outcome.elapsed for line in lines] or [0.0]
    cuts = quantiles(took, n=20, method="inclusive") if len(took) > 1 else took * 19
    return {"p50_ms": round(cuts[9], 1), "p95_ms": round(cuts[18], 1)}


def show_summary(figures: dict[str, Any], *, queue: str, store: str) -> None:
    """Print the figures of a run and what to try next."""
    click.secho("\n== Summary", bold=True)
    for tier, row in figures["per_tier"].items():
        right = row["category_right"]
        known = "" if right is None else f"  category right {right}/{row['answers']}"
        click.echo(
            f"  {tier.ljust(13)} {row['answers']:3d} tickets   p50 {row['p50_ms']:7.1f}"
            f" ms   p95 {row['p95_ms']:7.1f} ms{known}"
        )
    click.echo(
        f"  {figures['answered']} answered, {figures['deferred_to_a_person']} wait for "
        f"a person, {figures['failed']} failed; contract-valid "
        f"{figures['contract_valid']:.1%} of answers; "
        f"{figures['requests_to_the_remote']} requests reached the remote"
    )
    click.secho("\n== The remote's breaker", bold=True)
    for event in figures["breaker"]:
        click.echo(
            f"  {event['at']:6.2f} s  {event['from']} -> {event['to']}: "
            f"{event['reason']}"
        )
    click.secho("\n== Next", bold=True)
    click.echo(f"  llmguard queue list --queue {queue}   # the tickets a person gets")
    click.echo("  llmguard status                    # what on-call sees")
    click.echo(f"\n  (store: {store}; the embedded model is small: see its model card)")
