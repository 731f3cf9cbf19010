"""Numbers between bounds."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final

from .._check import Check
from .._show import show
from ._build import build, wrong

__all__ = ["number_range"]

Number = int | float | Decimal

_NUMBERS: Final = frozenset({"integer", "number", "string"})
"""A `Decimal` is a string or a number in a JSON schema."""


def number_range(
    field: str = "", *, minimum: Number | None = None, maximum: Number | None = None
) -> Check:
    """Demand a number between bounds, both included.

    True and False are no numbers here, NaN is in no range, and `Decimal` is compared
    exactly.

    Args:
        field: Where the number is; empty for the whole value.
        minimum: The least that is allowed; None for no limit.
        maximum: The most that is allowed; None for no limit.

    Raises:
        ConfigError: No bound, a bound that is no number, or bounds that exclude all.
    """
    for bound in (minimum, maximum):
        if bound is not None and not _is_number(bound):
            wrong("range", f"{bound!r} is no finite number")
    if minimum is None and maximum is None:
        wrong("range", "give `minimum`, `maximum` or both")
    if minimum is not None and maximum is not None and minimum > maximum:
        wrong("range", f"no number is at least {minimum} and at most {maximum}")

    def inside(value: object) -> str | bool:
        if not isinstance(value, int | float | Decimal) or not _is_number(value):
            return f"must be a number; the answer has {show(value)}"
        if minimum is not None and value < minimum:
            return f"must be at least {minimum}; the answer has {value}"
        if maximum is not None and value > maximum:
            return f"must be at most {maximum}; the answer has {value}"
        return True

    options = {"minimum": minimum, "maximum": maximum}
    return build("range", inside, field=field, options=options, types=_NUMBERS)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int) or math.isfinite(value)
