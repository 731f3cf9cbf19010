"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["interval", "many", "odds", "percent", "points", "signed"]

_MILLION: Final = 6 * math.log(10)
_SMALL: Final = 0.00005


def percent(share: float) -> str:
    """Return a share as `3.1 %`."""
    return f"{_round(share)} %"


def points(difference: float) -> str:
    """Return a difference of shares as `+3.1 points`."""
    return f"{signed(difference)} points"


def signed(difference: float) -> str:
    """Return a difference of shares as `+3.1`."""
    text = _round(difference)
    return text if text.startswith("-") or text == "0" else f"+{text}"


def interval(low: float, high: float, *, difference: bool = False) -> str:
    """Return an interval as `2.0 to 4.2`, with signs for a difference."""
    if difference:
        return f"{signed(low)} to {signed(high)}"
    return f"{_round(low)} to {_round(high)}"


def odds(log_e: float) -> str:
    """Return an e-value for reading; beyond a million nobody reads the digits."""
    if log_e > _MILLION:
        return "over 1,000,000"
    value = math.exp(log_e)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - digits


def many(count: int, noun: str) -> str:
    """Return `1 request`, `1,200 requests`."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _round(share: float) -> str:
    if abs(share) < _SMALL:
        return "0"
    return f"{100 * share:.2f}" if abs(share) < 0.01 else f"{100 * share:.1f}"  # noqa: PLR2004 - a percent
