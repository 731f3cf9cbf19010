"""Two JSON documents, field by field: where they differ and from what to what."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeGuard

from ..contract import MAX_DEPTH
from ..contract._digest import canonical
from ..contract._show import hidden
from ._rule import Rule, kind_of
from ._rungs import Divergence, Rung, Severity

__all__ = ["differences", "label_of", "number_in"]

Path = tuple[str, ...]
RuleOf = Callable[[str, str, object, object], Rule]
"""Takes the path, the field's name and both values."""

_LABEL: Final = 40
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_DRESS: Final = dict.fromkeys(map(ord, "$\u20ac\u00a3\u00a5,%"))
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?")
_DIGITS: Final = 24
_MANY: Final = 20
_DEEPEST: Final = MAX_DEPTH + 2
_SCALARS: Final = frozenset({str, int, float, bool})


def differences(
    a: object, b: object, rule_of: RuleOf, *, at: str = "", name: str = ""
) -> Iterator[Divergence]:
    """Yield every difference of two plain JSON documents.

    Args:
        a: The first.
        b: The second.
        rule_of: Gives the rule of a path.
        at: Path of both, `*` for the items of an array.
        name: The field's name.
    """
    yield from _compare(a, b, rule_of, (at, name, 0))


def _compare(
    a: Any, b: Any, rule_of: RuleOf, where: tuple[str, str, int]
) -> Iterator[Divergence]:
    at, name, depth = where
    # Most fields of most pairs are equal: no rule can make a difference of them.
    if a is b or depth > _DEEPEST or (type(a) is type(b) in _SCALARS and a == b):
        return
    if _is_dict(a) and _is_dict(b):
        if rule_of(at, name, None, None).how != "ignore":
            yield from _objects(a, b, rule_of, (at, depth))
        return
    rule = rule_of(at, name, a, b)
    if rule.how == "ignore":
        return
    if _is_list(a) and _is_list(b):
        if rule.how == "set":
            yield from _sets(a, b, at, rule)
        else:
            yield from _arrays(a, b, rule_of, where)
    else:
        found = _scalars(a, b, at, rule)
        if found is not None:
            yield found


def _is_dict(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _objects(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    rule_of: RuleOf,
    where: tuple[str, int],
) -> Iterator[Divergence]:
    at, depth = where
    for key, value in a.items():
        below = f"{at}/{_escape(key)}"
        if key in b:
            yield from _compare(value, b[key], rule_of, (below, key, depth + 1))
        elif rule_of(below, key, value, None).how != "ignore":
            yield _structure(below, "present", "missing", (value, None))
    for key, value in b.items():
        if key not in a:
            below = f"{at}/{_escape(key)}"
            if rule_of(below, key, None, value).how != "ignore":
                yield _structure(below, "missing", "present", (None, value))


def _arrays(
    a: list[Any], b: list[Any], rule_of: RuleOf, where: tuple[str, str, int]
) -> Iterator[Divergence]:
    at, name, depth = where
    if len(a) != len(b):
        yield _structure(at, _items(len(a)), _items(len(b)), (a, b))
        return
    for one, other in zip(a, b, strict=True):
        yield from _compare(one, other, rule_of, (f"{at}/*", name, depth + 1))


def _sets(a: list[Any], b: list[Any], at: str, rule: Rule) -> Iterator[Divergence]:
    left, right = Counter(map(canonical, a)), Counter(map(canonical, b))
    gone, new = sorted((left - right).elements()), sorted((right - left).elements())
    if not (gone or new):
        return
    before = _label(gone[0]) if len(gone) == 1 else _items(len(gone))
    after = _label(new[0]) if len(new) == 1 else _items(len(new))
    yield _decision(at, before, after, rule, (gone[:3], new[:3]))


def _scalars(a: object, b: object, at: str, rule: Rule) -> Divergence | None:
    if rule.how == "number":
        return _numbers(a, b, at, rule)
    kinds = kind_of(a), kind_of(b)
    if kinds[0] != kinds[1]:
        if "null" in kinds:
            ends = [_end(value, rule) for value in (a, b)]
            return _decision(at, ends[0], ends[1], rule, (a, b))
        return _structure(at, kinds[0], kinds[1], (a, b))
    if rule.how == "text" and kinds[0] == "string":
        before, after = label_of(a, rule), label_of(b, rule)
        return None if before == after else _decision(at, before, after, rule, (a, b))
    return None if _same(a, b) else _exact(a, b, at, rule)


def _exact(a: object, b: object, at: str, rule: Rule) -> Divergence:
    before, after = label_of(a, rule), label_of(b, rule)
    if before == after:
        after = f"other {kind_of(b)}"
    if after == "(empty)" and not rule.choices:
        before = "value"
    if before == "(empty)" and not rule.choices:
        after = "value"
    return _decision(at, before, after, rule, (a, b))


def _end(value: object, rule: Rule) -> str:
    """Name a value beside null: which one it was matters only where they are few."""
    return label_of(value, rule) if rule.choices or value is None else "value"


def _same(a: object, b: object) -> bool:
    if a == b:
        return True
    if not (isinstance(a, str) and isinstance(b, str)):
        return False
    if a.strip() == b.strip():
        return True
    return bool(_DATE.fullmatch(a) and _DATE.fullmatch(b)) and _date(a) == _date(b)


def _date(text: str) -> object:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    return found.isoformat()


def _numbers(a: object, b: object, at: str, rule: Rule) -> Divergence | None:
    x, y = number_in(a), number_in(b)
    if x is None and y is None:
        return None if _same(a, b) else _exact(a, b, at, Rule(how="text"))
    if x is None or y is None:
        return _decision(at, _numeric(a), _numeric(b), rule, (a, b))
    allowed = max(rule.absolute, rule.relative * max(abs(x), abs(y)))
    if abs(x - y) <= allowed:
        return None
    return _decision(at, "number", "higher" if y > x else "lower", rule, (a, b))


def _numeric(value: object) -> str:
    """Name what stands where a number should be."""
    if number_in(value) is not None:
        return "number"
    return "no number" if isinstance(value, str) else kind_of(value)


def number_in(value: object) -> float | None:
    """Return the number that a value is; None for what a program could not read as one.

    `18`, `"$18.00"`, `"1,200"` and `"5 %"` are numbers; `"3 * 6 = 18"`, `"18 eggs"` and
    booleans are none.
    """
    if isinstance(value, str):
        bare = value.translate(_DRESS).strip()
        return float(bare) if len(bare) <= _DIGITS and _NUMBER.fullmatch(bare) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def last_number(text: str) -> float | str:
    """Return the last number that a text names, such as 18 of `2 * 9 = $18`; else it.

    For answers that are a number in prose; a field that should be one is read by
    `number_in`.
    """
    names = _NUMBER.findall(text.replace(",", ""))
    return float(names[-1]) if names and len(names[-1]) <= _DIGITS else text


def label_of(value: object, rule: Rule) -> str:
    """Return the name of a value in the table of transitions."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if rule.how == "text":
            return _presence(bool(value.strip()))
        return _label(value)
    if isinstance(value, int | float):
        return _label(str(value))
    return kind_of(value)


def _label(text: str) -> str:
    if not text.strip():
        return "(empty)"
    line = hidden(" ".join(text[: 2 * _LABEL].split()))
    return line if len(line) <= _LABEL else f"{line[: _LABEL - 1]}\u2026"


def _presence(full: bool) -> str:
    return "text" if full else "(empty)"


def _items(count: int) -> str:
    shown = str(count) if count <= _MANY else f"more than {_MANY}"
    return f"{shown} item{'s' * (count != 1)}"


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _structure(
    at: str, before: str, after: str, values: tuple[object, object]
) -> Divergence:
    return Divergence(
        rung=Rung.STRUCTURE, path=at, before=before, after=after, values=values
    )


def _decision(
    at: str, before: str, after: str, rule: Rule, values: tuple[object, object]
) -> Divergence:
    return Divergence(
        rung=Rung.DECISION,
        path=at,
        before=before,
        after=after,
        severity=Severity.CRITICAL if rule.critical else Severity.MAJOR,
        values=values,
        open=not rule.choices and rule.how in {"exact", "set"},
    )
