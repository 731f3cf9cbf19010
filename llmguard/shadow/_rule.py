"""How one field is compared, and what a JSON schema says about that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal, cast

from .._dataclass import dataclass
from ..contract._pointer import join, split_field
from ..contract._schema import alternatives, json_types
from ..errors import ConfigError

__all__ = [
    "How",
    "Rule",
    "decision",
    "free_text",
    "ignored",
    "number",
    "pattern_of",
    "rules_of_schema",
    "unordered",
]

How = Literal["exact", "number", "text", "ignore", "set"]

_RELATIVE: Final = 0.01
_EXACT_NAME: Final = re.compile(
    r"(?:^|_)(?:id|ids|uuid|guid|code|sku|iban|bic|isbn|ean|key|ref|reference|number"
    r"|no|nr|version|hash|token|email|phone|zip|postcode|currency|country|language"
    r"|locale|url|uri)$"
)
_MONEY_NAME: Final = re.compile(
    r"(?:^|_)(?:price|prices|amount|total|subtotal|cost|costs|fee|fees|balance|refund"
    r"|discount|tax|vat|salary|payment|cents|usd|eur|gbp|chf|jpy)(?:_|$)"
)
_EXACT_FORMATS: Final = frozenset(
    {"date", "date-time", "time", "duration", "uuid", "email", "idn-email", "uri"}
    | {"hostname", "ipv4", "ipv6", "regex", "json-pointer"}
)
_FEW: Final = 20
"""Whole numbers in a declared range this small are choices, such as a priority."""
_ROUNDS: Final = 2
_MOST: Final = 2_000
"""Fields that a schema gives rules to; the values tell about the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one field of two answers is compared.

    Attributes:
        how: `exact` for decisions: choices, booleans, ids, dates; `number` within a
            tolerance; `text` for prose, of which only presence counts; `set` for
            arrays whose order means nothing; `ignore`.
        relative: Difference allowed, as a share of the larger of the two numbers.
        absolute: Difference allowed, in the field's own unit.
        critical: A change here alarms by itself, however rare it is in the whole.
        choices: True when the values are few and declared: each gets its own row.

    Raises:
        ConfigError: An unknown `how`, or a tolerance out of range.
    """

    how: How
    relative: float = 0.0
    absolute: float = 0.0
    critical: bool = False
    choices: bool = False

    def __post_init__(self) -> None:
        if self.how not in {"exact", "number", "text", "ignore", "set"}:
            raise ConfigError(
                f"a field is compared as `exact`, `number`, `text`, `set` or `ignore`, "
                f"not {self.how!r}"
            )
        if not (0 <= self.relative < 1 and self.absolute >= 0):
            raise ConfigError(
                f"a tolerance of {self.relative!r} (relative) and {self.absolute!r} "
                "(absolute) is none: give 0 <= relative < 1 and absolute >= 0"
            )


def decision(*, critical: bool = False) -> Rule:
    """Declare a field whose every value is another decision."""
    return Rule(how="exact", critical=critical)


def number(
    *, relative: float = _RELATIVE, absolute: float = 0.0, critical: bool = False
) -> Rule:
    """Declare a number; text such as `$1,200.00` is read as one.

    Args:
        relative: Difference allowed, as a share of the larger of the two.
        absolute: Difference allowed in the field's unit; the wider of both counts.
        critical: A change here alarms by itself.
    """
    return Rule(how="number", relative=relative, absolute=absolute, critical=critical)


def free_text() -> Rule:
    """Declare prose: never compared byte by byte, only present or absent."""
    return Rule(how="text")


def ignored() -> Rule:
    """Declare a field, and all below it, that no comparison looks at."""
    return Rule(how="ignore")


def unordered(*, critical: bool = False) -> Rule:
    """Declare an array of which the order means nothing."""
    return Rule(how="set", critical=critical)


def pattern_of(field: str) -> str:
    """Return a field name (`a.b`, `items.*.price`, `/a/b`, `@act`) as a path.

    Raises:
        ConfigError: A part of it is empty.
    """
    if field.startswith("@"):
        return field
    parts = split_field(field)
    return join("*" if part.isdecimal() else part for part in parts)


def rules_of_schema(schema: object) -> dict[str, Rule]:
    """Return what a JSON schema says about each of its fields, by path.

    Declared choices, booleans, constants, dates and ids (by format or name) are
    decisions; numbers have a tolerance of 1 %, sums of money and ids none; whole
    numbers of a small declared range are choices; every other string is free text.
    """
    return dict(islice(_walk(schema, schema, (), ()), _MOST))


def kind_of(value: object) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def inferred(name: str, value: object) -> Rule:
    """Return the rule of a field that no schema describes, by its name and value."""
    bare = _snake(name)
    if isinstance(value, bool):
        return Rule(how="exact", choices=True)
    if isinstance(value, int | float):
        return _number_rule(bare)
    return Rule(how="exact") if _EXACT_NAME.search(bare) else Rule(how="text")


def _walk(
    schema: object, root: object, path: tuple[str, ...], above: tuple[int, ...]
) -> Iterator[tuple[str, Rule]]:
    """Yield the rules of a schema and of what is below; twice around a recursion."""
    found = [s for s in alternatives(schema, root) if above.count(id(s)) < _ROUNDS]
    rule = _leaf(found, path[-1] if path else "")
    if rule is not None:
        yield join(path), rule
    for each in found:
        if isinstance(each, Mapping):
            members = cast("Mapping[str, Any]", each)
            stack = (*above, id(members))
            for name, child in members.get("properties", {}).items():
                yield from _walk(child, root, (*path, name), stack)
            for child in _items(members):
                yield from _walk(child, root, (*path, "*"), stack)


def _items(schema: Mapping[str, Any]) -> list[object]:
    """Return the schemas of an array's items, those by position included."""
    below: object = schema.get("items")
    listed: object = schema.get("prefixItems", below)
    if isinstance(listed, list):
        return cast("list[object]", listed)
    return [] if below is None else [below]


def _leaf(schemas: list[object], name: str) -> Rule | None:
    """Return the rule of a scalar; None for objects, arrays and open schemas."""
    closed = [cast("Mapping[str, Any]", s) for s in schemas if isinstance(s, Mapping)]
    real = [each for each in closed if each.get("type") != "null"]
    if not real:
        return None
    if all("enum" in each or "const" in each for each in real):
        return Rule(how="exact", choices=True)
    types = set(json_types(cast("list[object]", real)) - {"null"})
    if types == {"boolean"}:
        return Rule(how="exact", choices=True)
    if types and types <= {"integer", "number"}:
        few = "number" not in types and all(_span(each) <= _FEW for each in real)
        return Rule(how="exact", choices=True) if few else _number_rule(_snake(name))
    if types == {"string"}:
        formats = {each.get("format") for each in real}
        exact = formats & _EXACT_FORMATS or any("pattern" in each for each in real)
        named = _EXACT_NAME.search(_snake(name))
        return Rule(how="exact" if exact or named else "text")
    return None


def _span(schema: Mapping[str, Any]) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if isinstance(low, int | float) and isinstance(high, int | float):
        return high - low
    return float("inf")


def _number_rule(bare: str) -> Rule:
    exact = _EXACT_NAME.search(bare) or _MONEY_NAME.search(bare)
    return Rule(how="number", relative=0.0 if exact else _RELATIVE)


def _snake(name: str) -> str:
    """Return `orderId` and `order-id` as `order_id`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^0-9a-zA-Z]+", "_", spaced).lower()
