"""Dates and times between bounds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

from .._check import Check
from .._show import show
from ._build import build, wrong

__all__ = ["date_range"]

Bound = date | str | Callable[[], date]


def date_range(
    field: str = "", *, minimum: Bound | None = None, maximum: Bound | None = None
) -> Check:
    """Demand a date, or a date and time, between bounds, both included.

    Args:
        field: Where it is: a `date`, a `datetime`, or an ISO 8601 string.
        minimum: The earliest allowed: a date, a datetime, an ISO 8601 string, or a
            function that returns one for each call, such as a clock's "today".
        maximum: The latest allowed. A bound that is a date includes its whole day.
            A time without a zone counts as UTC.

    Raises:
        ConfigError: No bound, or one that is no date.
    """
    if minimum is None and maximum is None:
        wrong("date_range", "give `minimum`, `maximum` or both")
    for bound in (minimum, maximum):
        if bound is not None and not callable(bound) and _read(bound) is None:
            wrong("date_range", f"{bound!r} is no date; write '2024-12-31'")

    def inside(value: object) -> str | bool:
        moment = _read(value)
        if moment is None:
            return f"must be an ISO 8601 date; the answer has {show(value)}"
        low, high = _bound(minimum), _bound(maximum)
        if low is not None and _before(moment, low):
            return f"must not be before {low.isoformat()}; the answer has {moment}"
        if high is not None and _before(high, moment):
            return f"must not be after {high.isoformat()}; the answer has {moment}"
        return True

    options = {"minimum": minimum, "maximum": maximum}
    return build("date_range", inside, field=field, options=options)


def _read(value: object) -> date | None:
    """Read a date, or a datetime in UTC; None for anything else."""
    if isinstance(value, str):
        try:
            value = (
                datetime.fromisoformat(value)
                if len(value) > len("2024-12-31")
                else date.fromisoformat(value)
            )
        except ValueError:
            return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    return value if isinstance(value, date) else None


def _bound(bound: Bound | None) -> date | None:
    if bound is None:
        return None
    found = _read(bound() if callable(bound) else bound)
    if found is None:
        raise TypeError(f"the bound {bound!r} returned no date")
    return found


def _before(first: date, second: date) -> bool:
    """Compare to the day when either side names only a day."""
    if isinstance(first, datetime) and isinstance(second, datetime):
        return first < second
    return _day(first) < _day(second)


def _day(moment: date) -> date:
    return moment.date() if isinstance(moment, datetime) else moment
