"""How many days the pinned models are still served, as a metric."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ..errors import LLMGuardError
from ..pins import load_lock, shutdown_of
from ..telemetry.families import Sample

__all__ = ["days_left"]


def days_left(*, now: float) -> list[Sample]:
    """Return a sample per pin of the lock whose end is announced; negative after it.

    None when the lock cannot be read: what processes do with it is told elsewhere.
    """
    try:
        pins = load_lock().pins.values()
    except LLMGuardError:
        return []
    today = datetime.fromtimestamp(now, UTC).date()
    found: list[Sample] = []
    for pin in pins:
        end = shutdown_of(pin)
        if end is not None:
            labels = (("route", pin.route), ("pin", pin.id), ("model", pin.model))
            left = (date.fromisoformat(end.date) - today).days
            found.append(Sample(labels, float(left)))
    return found
