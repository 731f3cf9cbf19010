"""Assertions that compare with a case's reference answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, cast

from ...contract._digest import source_digest
from ...contract._fields import pick
from ...contract._pointer import split_field
from ...contract._show import show
from ...errors import ConfigError
from .._assertion import Assertion
from .._types import Case, Finding, Sample
from ._make import Options, judge_value, make

__all__ = ["correct"]

Compare = Callable[[Any, Any], "bool | str"]


def correct(
    field: str = "",
    *,
    tolerance: float = 0.0,
    ratio: float = 0.0,
    loose: bool = False,
    compare: Compare | None = None,
    **options: Unpack[Options],
) -> Assertion:
    """Assert that the answer is the one that the case expects.

    An expected object names the fields that count: others of the answer are not
    looked at. Lists must agree item by item. A missing answer is wrong. By default
    relative: the incumbent's rate is tolerated, 5 points more are not.

    Args:
        field: Compare only this field of the answer and of the reference; cases whose
            reference lacks it say nothing. Empty for the whole.
        tolerance: How far a number may be off.
        ratio: How far it may be off as a share of the expected number.
        loose: True ignores case and kinds of blanks in texts.
        compare: A function of (answer, expected) that decides instead; it returns
            True, or False or a sentence for "wrong".
        **options: As in `Options`; with rates, say whether they are `relative`.

    Raises:
        ConfigError: Rates without `relative`, a negative tolerance, or `compare`
            beside the options it replaces.
    """
    if tolerance < 0 or ratio < 0:
        raise ConfigError(
            f"`correct`: `tolerance` {tolerance!r} and `ratio` {ratio!r} must not be "
            "negative"
        )
    if compare is not None and (tolerance or ratio or loose):
        raise ConfigError(
            "`correct`: `compare` decides alone; leave out `tolerance`, `ratio` and "
            "`loose`, or `compare`"
        )
    _check_rates(options)
    decide = compare or _Rule(tolerance=tolerance, ratio=ratio, loose=loose)
    how = source_digest(compare) if compare else [tolerance, ratio, loose]
    return make(
        "correct",
        _judge(decide, split_field(field)),
        options,
        name=f"correct:{field}" if field else "correct",
        field=field,
        needs_expected=True,
        version=["correct/1", field, how],
    )


def _check_rates(options: Options) -> None:
    rates = {"tolerate", "unacceptable"} & options.keys()
    if rates and "relative" not in options:
        raise ConfigError(
            f"`correct`: {sorted(rates)} are given, and nobody says of what: add "
            "`relative=True` (points above the incumbent's rate of wrong answers) or "
            "`relative=False` (rates of wrong answers)"
        )
    options.setdefault("relative", True)


def _judge(
    decide: Compare, parts: Sequence[str]
) -> Callable[[Case, Sample], Finding | None]:
    def judge(case: Case, sample: Sample) -> Finding | None:
        wanted = [place[1] for place in pick(case.expected, parts)]
        if not case.has_expected or not wanted:
            return None

        def test(value: Any) -> Finding:
            found = [place[1] for place in pick(value, parts)]
            if len(found) != len(wanted):
                return Finding(failed=True, detail="the field is missing")
            for one, other in zip(found, wanted, strict=True):
                said = decide(one, other)
                if said is not True:
                    return Finding(failed=True, detail=said or _differs(one, other))
            return Finding(failed=False)

        return judge_value(case, sample, test)

    return judge


def _differs(found: object, wanted: object) -> str:
    return f"{show(found)} instead of {show(wanted)}"


class _Rule:
    """Compares plain JSON; a sentence says where the first difference is."""

    def __init__(self, *, tolerance: float, ratio: float, loose: bool) -> None:
        self.tolerance = tolerance
        self.ratio = ratio
        self.loose = loose

    def __call__(self, found: object, wanted: object) -> bool | str:
        return self._at("", found, wanted) or True

    def _at(self, path: str, found: object, wanted: object) -> str:
        if isinstance(wanted, Mapping):
            return self._members(path, found, cast("Mapping[str, object]", wanted))
        if isinstance(wanted, Sequence) and not isinstance(wanted, str):
            return self._items(path, found, cast("Sequence[object]", wanted))
        if self._same(found, wanted):
            return ""
        return f"{path + ': ' if path else ''}{_differs(found, wanted)}"

    def _members(self, path: str, found: object, wanted: Mapping[str, object]) -> str:
        if not isinstance(found, Mapping):
            return f"{path + ': ' if path else ''}{_differs(found, wanted)}"
        members = cast("Mapping[str, object]", found)
        for key, value in wanted.items():
            if key not in members:
                return f"{path}/{key} is missing"
            said = self._at(f"{path}/{key}", members[key], value)
            if said:
                return said
        return ""

    def _items(self, path: str, found: object, wanted: Sequence[object]) -> str:
        if not isinstance(found, Sequence) or isinstance(found, str):
            return f"{path + ': ' if path else ''}{_differs(found, wanted)}"
        items = cast("Sequence[object]", found)
        if len(items) != len(wanted):
            return (
                f"{path or '(whole answer)'} has {len(items)} items, not {len(wanted)}"
            )
        pairs = enumerate(zip(items, wanted, strict=True))
        said = (self._at(f"{path}/{at}", one, other) for at, (one, other) in pairs)
        return next(filter(None, said), "")

    def _same(self, found: object, wanted: object) -> bool:
        if isinstance(wanted, bool) or isinstance(found, bool):
            return found is wanted
        if isinstance(wanted, int | float) and isinstance(found, int | float):
            near = max(self.tolerance, self.ratio * abs(wanted))
            return found == wanted or (
                math.isfinite(found) and abs(found - wanted) <= near
            )
        if self.loose and isinstance(wanted, str) and isinstance(found, str):
            return found.casefold().split() == wanted.casefold().split()
        return found == wanted
