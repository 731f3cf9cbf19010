"""How times, spans and values are written on pages."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Mapping
from typing import Final

from markupsafe import Markup, escape

__all__ = ["FILTERS", "ago", "iso", "pretty", "span", "stamp", "ticks"]

_UNITS: Final = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_LONGEST: Final = 20_000
_FIRST: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
_LAST: Final = dt.datetime.max.replace(tzinfo=dt.UTC)


def span(seconds: float | None) -> str:
    """Write a length of time: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    left = abs(seconds)
    if left < 1.0:
        if not left:
            return "0 s"
        return "under 1 ms" if left < 0.001 else f"{left * 1000:.0f} ms"  # noqa: PLR2004 - a millisecond
    for place, (unit, size) in enumerate(_UNITS):
        if left >= size:
            whole = int(left // size)
            text = f"{whole} {unit}"
            if place + 1 < len(_UNITS) and whole < 10:  # noqa: PLR2004 - two digits are exact enough
                below, smaller = _UNITS[place + 1]
                rest = int(left % size // smaller)
                text += f" {rest} {below}" if rest else ""
            return text
    return "0 s"


def ago(at: float | None, now: float) -> str:
    """Write when something was or will be, seen from now."""
    if at is None:
        return "-"
    if abs(now - at) < 1.0:
        return "just now"
    return f"{span(now - at)} ago" if at <= now else f"in {span(at - now)}"


def stamp(at: float | None) -> str:
    """Write a moment in UTC, to the second."""
    if at is None:
        return "-"
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: float) -> str:
    """Write a moment as machines read it."""
    return _utc(at).isoformat()


def _utc(at: float) -> dt.datetime:
    try:
        return dt.datetime.fromtimestamp(at, dt.UTC)
    except (OSError, OverflowError, ValueError):
        # Beyond the calendar, which must not fail the page of all other tickets.
        return _LAST if at > 0 else _FIRST


def pretty(value: object) -> str:
    """Write a JSON value for people; what is too long is cut, and says so."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2)
    if not isinstance(value, str):
        try:
            text = json.dumps(value, indent=2, ensure_ascii=False)
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair
            text = json.dumps(value, indent=2)
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) > _LONGEST:
        return f"{text[:_LONGEST]}\n... ({len(text) - _LONGEST:,} characters more)"
    return text


def _number(value: float) -> str:
    return f"{value:,}"


def ticks(text: str) -> Markup:
    """Write a sentence of ours: what stands between backticks is code."""
    parts = text.split("`")
    made = [
        Markup("<code class='cmd'>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    ]
    return Markup("").join(made)


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "ago": ago,
    "iso": iso,
    "number": _number,
    "pretty": pretty,
    "span": span,
    "stamp": stamp,
    "ticks": ticks,
}
