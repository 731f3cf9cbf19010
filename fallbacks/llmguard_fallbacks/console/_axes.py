"""Where the ticks of a plot stand, and how its numbers and times are written."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

__all__ = ["moment_label", "number", "percent", "seconds", "time_ticks", "value_ticks"]

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_STEPS: Final = (
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    *(_DAY * n for n in (1, 2, 7, 14, 28, 56, 91, 182, 365, 730)),
)
_MOST_TICKS: Final = 7
_TENTH: Final = 0.1
_TEN: Final = 10
_THOUSAND: Final = 1_000
_MILLION: Final = 1_000_000


def value_ticks(low: float, high: float, *, most: int = 4) -> list[float]:
    """Return round values from `low` to beyond `high`: steps of 1, 2, 2.5 or 5."""
    rough = (high - low) / most
    if not math.isfinite(rough) or rough <= 0:
        return [low]
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, last + 1)]


def time_ticks(start: float, end: float) -> list[tuple[float, str]]:
    """Return times between two, at round ones in UTC, with what is written there."""
    step = next(
        (one for one in _STEPS if (end - start) / one <= _MOST_TICKS), _STEPS[-1]
    )
    first = math.ceil(start / step) * step
    found: list[tuple[float, str]] = []
    at = float(first)
    while at <= end:
        day = step >= _DAY or (at % _DAY == 0)
        moment = datetime.fromtimestamp(at, UTC)
        found.append((at, f"{moment:%b} {moment.day}" if day else f"{moment:%H:%M}"))
        at += step
    return found


def moment_label(at: float) -> str:
    """Write a moment for a tooltip."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def number(value: float) -> str:
    """Write a number briefly: `0.25`, `12`, `1.2k`, `3.4M`."""
    size = abs(value)
    if size >= _MILLION:
        return f"{value / _MILLION:.3g}M"
    if size >= _TEN * _THOUSAND:
        return f"{value / _THOUSAND:.3g}k"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}"


def percent(value: float) -> str:
    """Write a share: `0.4 %`, `12 %`."""
    shown = value * 100
    if shown == round(shown):
        return f"{shown:.0f} %"
    return f"{shown:.2g} %" if abs(shown) < _TEN else f"{shown:.1f} %"


def seconds(value: float) -> str:
    """Write a length of time: `120 ms`, `2.5 s`."""
    if abs(value) < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s"
