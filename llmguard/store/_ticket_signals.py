"""People's answers as counts of versions, beside those of programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from ._ticket_labels import differences
from .counts import CountStore
from .tickets import TicketRecord

__all__ = ["count_reviews"]


def count_reviews(counts: CountStore, env: str, ticket: TicketRecord) -> bool:
    """Count, per version, whether people answered what it had proposed; once a ticket.

    As the signals `reviewed_right` and `reviewed_wrong`: what was proposed was no
    answer, so that objectives on corrected answers are left alone.

    Returns:
        False when no version had proposed anything, or it was counted before.
    """
    rows: Counter[tuple[str, str, str, str, str]] = Counter()
    for one in ticket.outputs:
        found: Mapping[str, Any] = {}
        if isinstance(one, Mapping):
            found = cast("Mapping[str, Any]", one)
        pin = str(found.get("pin") or "")
        if not pin or not ("value" in found or "text" in found):
            continue
        said = found["value"] if "value" in found else found["text"]
        right = not differences(said, ticket.answer)
        label = "reviewed_right" if right else "reviewed_wrong"
        rows[ticket.function, pin, "", "signal", label] += 1
    if not rows or ticket.closed_at is None:
        return False
    return counts.add(
        env,
        list(rows.items()),
        source=f"ticket {ticket.id}",
        number=1,
        at=ticket.closed_at,
    )
