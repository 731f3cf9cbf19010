"""An error budget in words that a person who was just woken up understands."""

from __future__ import annotations

from math import ceil
from typing import Final

__all__ = ["budget_words"]

_SLACK: Final = 1e-9
"""A target of 99.9 % is no exact number; what it allows is, to so much."""
_MANY: Final = 10
"""From how many on no tenths are told."""


def budget_words(bad: int, total: int, budget: float) -> str:
    """Say what is left of a budget, or how often it was spent, and by which counts.

    Args:
        bad: Bad events in the window.
        total: All events in it.
        budget: Share of events that may be bad, above 0.
    """
    if bad <= 0:
        return "100 % left (none bad)"
    allowed = total * budget
    if allowed < 1 - _SLACK:
        # A multiple of less than one event would be a large number without a meaning.
        least = ceil(1 / budget - _SLACK)
        return f"spent ({bad:,} bad of {total:,}; it takes {least:,} to allow one)"
    counts = f"{bad:,} bad, {_count(allowed)} allowed"
    if bad > allowed + _SLACK:
        return f"spent {_times(bad / allowed)} ({counts})"
    return f"{max(100 * (1 - bad / allowed), 0.0):.0f} % left ({counts})"


def _times(ratio: float) -> str:
    return f"{ratio:,.{0 if ratio >= _MANY else 1}f} times"


def _count(allowed: float) -> str:
    # Cut off, not rounded: what is not wholly allowed is not allowed.
    if allowed >= _MANY:
        return f"{int(allowed + _SLACK):,}"
    return f"{int(allowed * 10 + _SLACK) / 10:.3g}"
