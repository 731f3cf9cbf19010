"""Built-in checks: `check.range(...)`, `check.appears_in(...)` and the others.

Each returns a `Check` for `Contract(..., checks=[...])`. Where one takes a `field`, it
is `a.b`, `items.*.price` or a JSON pointer, resolved against the schema when the
contract is made; null and absent values pass, for presence is the schema's business.
"""

from __future__ import annotations

from .._check import Check, check
from ._dates import date_range
from ._grounding import appears_in, similar_to
from ._language import detect_language, language
from ._numbers import number_range as range  # noqa: A004 - reads `check.range(...)`
from ._sentiment import sentiment
from ._text import (
    contains,
    length,
    mentions,
    not_contains,
    not_refusal,
    one_of,
    pattern,
)

__all__ = [
    "Check",
    "appears_in",
    "check",
    "contains",
    "date_range",
    "detect_language",
    "language",
    "length",
    "mentions",
    "not_contains",
    "not_refusal",
    "one_of",
    "pattern",
    "range",
    "sentiment",
    "similar_to",
]
