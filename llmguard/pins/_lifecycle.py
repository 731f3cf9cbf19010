"""When a pinned model ends, by the newest word there is."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from ._naming import Shutdown, shutdown
from ._pin import Pin

__all__ = ["HORIZON", "ending", "shutdown_of"]

# OpenAI announces the end of a generally available model 6 months ahead, Anthropic
# 60 days: 90 days leave time to qualify a successor after the shorter notice.
HORIZON: Final = timedelta(days=90)
"""How long before its shutdown a pin is warned about."""


def shutdown_of(pin: Pin) -> Shutdown | None:
    """Return the announced end of a pin: the newer of the lock's word and the table's.

    A date that is written in the lock by hand, without `seen`, wins.
    """
    table = shutdown(pin.provider, pin.model, endpoint=pin.endpoint)
    noted = pin.lifecycle.get("shutdown", "")
    if not noted:
        return table
    seen = pin.lifecycle.get("seen", "")
    if table and seen and seen < table.seen:
        return table
    return Shutdown(noted, pin.lifecycle.get("source", "models.lock"), seen)


def ending(pin: Pin, *, horizon: timedelta, today: date) -> str:
    """Word the shutdown of a pin within the horizon; "" when there is none."""
    end = shutdown_of(pin)
    if end is None:
        return ""
    left = (date.fromisoformat(end.date) - today).days
    if left > horizon.days:
        return ""
    when = f"shuts down on {end.date}, in {left} days"
    if left < 0:
        when = f"was shut down on {end.date}"
    seen = f", as of {end.seen}" if end.seen else ""
    return f"model {pin.model!r} of route {pin.route!r} {when} ({end.source}{seen})"
