"""Times as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from ..errors import ConfigError

__all__ = ["read_time"]

_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC).timestamp()
_LAST: Final = datetime(9999, 12, 30, tzinfo=UTC).timestamp()
_SHOWN: Final = 60
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def read_time(text: str, *, now: float) -> float:
    """Read a time as epoch seconds: ISO (UTC unless told), `2h`, `3d ago`, or epoch.

    Raises:
        ConfigError: It is no time.
    """
    at = _read(text.strip().removesuffix(" ago"), now)
    if at is None or not _FIRST <= at <= _LAST:  # no calendar could show it
        raise ConfigError(
            f"{text[:_SHOWN]!r} is no time; write 2026-11-29T20:15:00Z, 2h, 3d, or "
            "epoch seconds"
        )
    return at


def _read(given: str, now: float) -> float | None:
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", given):
        return now - float(found[1]) * _UNITS[found[2]]
    if re.fullmatch(r"\d{9,}(\.\d+)?", given):
        return float(given)
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
