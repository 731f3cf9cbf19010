"""The exact interval of a share, without any package."""

from __future__ import annotations

from typing import Final

from ..breaker import upper_rate

__all__ = ["LEVEL", "clopper_pearson"]

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
