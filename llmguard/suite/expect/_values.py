"""Assertions on single values of the answer: ranges, choices, dates, patterns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any, Unpack, cast

from ...contract import Check
from ...contract import checks as built_in
from ...contract._check import Bound, run_checks
from ...contract._fields import pick
from ...contract._pointer import split_field
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, judge_value, make, one_line

__all__ = ["between", "date_between", "matches", "one_of"]


def between(
    field: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    optional: bool = False,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that a number lies in [low, high].

    Outside, no number, or missing has failed. Default rates 1 % and 5 %.

    Args:
        field: Where it is, as `a.b`, `items.*.price` or a JSON pointer; every place
            that matches must be inside. Empty for the whole answer.
        low: The least allowed; None for no limit.
        high: The most allowed; None for no limit.
        optional: True lets null and absent pass; a missing answer still fails.
        **options: As in `Options`.

    Raises:
        ConfigError: No limit, or limits that exclude all.
    """
    each = built_in.range(field, minimum=low, maximum=high)
    return _ranged("between", each, optional, options)


def one_of(
    field: str = "",
    *,
    values: Iterable[str | float | None],
    optional: bool = False,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that a value is one of a few; 1, 1.0 and True are three values.

    Another value, or none, has failed. Default rates 1 % and 5 %.

    Args:
        field: As in `between`.
        values: What is allowed.
        optional: As in `between`.
        **options: As in `Options`.

    Raises:
        ConfigError: No values.
    """
    each = built_in.one_of(*values, field=field)
    return _ranged("one_of", each, optional, options)


def date_between(
    field: str = "",
    *,
    low: date | str | None = None,
    high: date | str | None = None,
    optional: bool = False,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that a date, or a date and time, lies between two, both included.

    Outside, no ISO 8601 date, or missing has failed. Default rates 1 % and 5 %.

    Args:
        field: As in `between`.
        low: The earliest allowed; a date, a datetime or an ISO 8601 text. A time
            without a zone counts as UTC.
        high: The latest allowed; a date includes its whole day.
        optional: As in `between`.
        **options: As in `Options`.

    Raises:
        ConfigError: No limit, or one that is no date.
    """
    each = built_in.date_range(field, minimum=low, maximum=high)
    return _ranged("date_between", each, optional, options)


def matches(
    field: str = "",
    *,
    pattern: str,
    optional: bool = False,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that the whole of a text matches a regular expression.

    No match, no text, or missing has failed. Default rates 1 % and 5 %.

    Args:
        field: As in `between`.
        pattern: Python's syntax, see `re`.
        optional: As in `between`.
        **options: As in `Options`.

    Raises:
        ConfigError: The pattern is wrong.
    """
    each = built_in.pattern(pattern, field, whole=True)
    return _ranged("matches", each, optional, options)


def _ranged(
    builder: str,
    each: Check,
    optional: bool,
    options: Options,
) -> Assertion:
    parts = split_field(each.field)
    bound = Bound(check=each, parts=parts, path="", with_inputs=False)

    def test(value: Any) -> Finding:
        places = [*pick(value, parts)]
        absent = not places or any(found is None for _, found in places)
        if absent and not optional:
            return Finding(failed=True, detail=f"`{each.field or 'value'}` is missing")
        violations, failure = run_checks([bound], value, {})
        why = str(violations[0]) if violations else failure
        return Finding(failed=bool(why), detail=one_line(why), score=_score(places))

    def judge(case: Case, sample: Sample) -> Finding | None:
        return judge_value(case, sample, test)

    return make(
        "range",
        judge,
        options,
        name=f"{builder}:{each.field}" if each.field else builder,
        field=each.field,
        version=[f"{builder}/1", each.field, optional, each.version],
    )


def _score(places: list[tuple[str, object]]) -> float | None:
    """Return the number that was found, for histograms, where there is just one."""
    found = places[0][1] if len(places) == 1 else None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(cast("float", found)) if number else None
