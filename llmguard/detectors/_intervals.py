"""Exact intervals of shares, and the true rate behind an observed one."""

from __future__ import annotations

from typing import Final

from ..breaker import upper_rate

__all__ = ["LEVEL", "clopper_pearson", "percent", "true_rate"]

LEVEL: Final = 0.95


def clopper_pearson(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the two-sided exact interval of a share (Clopper and Pearson 1934).

    Each end alone holds with confidence (1 + level) / 2. Without trials the interval
    is [0, 1].

    Args:
        k: Successes.
        n: Trials.
        level: Confidence of both ends together, in (0, 1).
    """
    each = (1 + level) / 2
    return (
        1 - upper_rate(n - k, n, confidence=each),
        upper_rate(k, n, confidence=each),
    )


def true_rate(seen: float, found: float, false: float, *, blind: float) -> float:
    """Solve `seen = p found + (1 - p) false` for p, cut to [0, 1].

    Args:
        seen: Observed rate.
        found: Sensitivity.
        false: False positive rate.
        blind: What to return where `found <= false`, which has no answer.
    """
    if found <= false:
        return blind
    return min(1.0, max(0.0, (seen - false) / (found - false)))


def percent(value: float, interval: tuple[float, float]) -> str:
    """Write a share with its interval: `4.8% [2.4%, 8.4%]`."""
    low, high = interval
    return f"{value:.1%} [{low:.1%}, {high:.1%}]"
