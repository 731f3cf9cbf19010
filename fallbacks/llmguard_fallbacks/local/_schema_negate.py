"""What `not` means, said without it: a schema's negation as a list of alternatives.

A schema is a conjunction of its keywords, so its negation is the disjunction of their
negations, and most of those are schemas of their own: `not: {required: [a, b]}` is an
object without `a` or one without `b`. Each negation goes one level deep and leaves a
`not` behind for the next one, which is negated when that part is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

from ._schema_merge import normalise
from ._schema_types import Node, as_list, as_map, is_list, is_map

__all__ = ["Negated", "negate"]

_TYPES: Final = ("null", "boolean", "object", "array", "number", "string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Negated:
    """One alternative of a negation.

    Attributes:
        schema: The alternative.
        sound: Every instance of it breaks the negated schema; otherwise it only
            contains those that do.
        whole: It leaves out no value that breaks this keyword.
    """

    schema: Any
    sound: bool = True
    whole: bool = True


def negate(schema: Any) -> list[Negated]:
    """Return alternatives that together mean `not: schema`; none for nothing."""
    if not is_map(schema):
        return [] if schema else [Negated(schema={})]
    if "$ref" in schema or "$dynamicRef" in schema:
        # Before draft 2019-09 the keywords beside a reference count for nothing.
        kept = {k: schema[k] for k in ("$ref", "$dynamicRef") if k in schema}
        alone = len(kept) == 1 and not {*schema} & _KNOWN
        return [Negated(schema={"not": kept}, whole=alone)]
    flat = normalise(schema)
    found: list[Negated] = []
    for key in (*flat, *(k for k in ("allOf", "anyOf", "oneOf") if k in schema)):
        value = flat.get(key, schema.get(key))
        if key in _RULES:
            found += _RULES[key](value)
        elif key in _OPEN:
            found.append(_open(_OPEN[key]))
    if any(k.startswith("unevaluated") for k in schema):
        return [Negated(schema={}, sound=False)]
    return [*_beside(flat), *_conditional(flat), *found]


Rule = Callable[[Any], list[Negated]]


def _open(kind: str) -> Negated:
    return Negated(schema={"type": kind}, sound=False)


def _types(value: Any) -> list[Negated]:
    declared = as_list(value)
    rest = [t for t in _TYPES if t not in declared]
    fractions = "integer" in declared and "number" in rest
    if fractions:
        rest.remove("number")
    return [Negated(schema={"type": rest}, whole=not fractions)] if rest else []


def _literals(values: Any) -> list[Negated]:
    """Return the other types, what is left of the scalar ones, and a guess."""
    kinds = {_kind(value) for value in values}
    rest = [t for t in _TYPES if t not in kinds]
    found = [Negated(schema={"type": rest})] if rest else []
    if "boolean" in kinds:
        left = [b for b in (False, True) if not any(b is v for v in values)]
        found += [Negated(schema={"enum": left})] if left else []
    if "number" in kinds:
        numbers = sorted({v for v in values if _kind(v) == "number"})
        found += list(_gaps(numbers))
    found += [_open(t) for t in ("object", "array", "string") if t in kinds]
    return found


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if is_list(value) else "object"


def _gaps(numbers: list[float]) -> Iterator[Negated]:
    bounds = [None, *numbers, None]
    for low, high in pairwise(bounds):
        gap: Node = {"type": "number"}
        if low is not None:
            gap["exclusiveMinimum"] = low
        if high is not None:
            gap["exclusiveMaximum"] = high
        yield Negated(schema=gap)


def _bound(kind: str, key: str, step: int) -> Rule:
    """Return the rule of a count: one less than the least, or more than the most."""

    def rule(value: Any) -> list[Negated]:
        if int(value) + step < 0:
            return []
        return [Negated(schema={"type": kind, key: int(value) + step})]

    return rule


def _limit(key: str) -> Rule:
    return lambda value: [Negated(schema={"type": "number", key: value})]


def _required(names: Any) -> list[Negated]:
    return [
        Negated(schema={"type": "object", "properties": {name: False}})
        for name in as_list(names)
    ]


def _properties(value: Any) -> list[Negated]:
    return [
        Negated(
            schema={
                "type": "object",
                "required": [name],
                "properties": {name: _no(schema)},
            }
        )
        for name, schema in as_map(value).items()
        if schema not in (True, {})
    ]


def _no(schema: Any) -> Any:
    if is_map(schema) and [*schema] == ["not"]:
        return schema["not"]
    return {"not": schema}


def _contains(value: Any) -> list[Negated]:
    return [Negated(schema={"type": "array", "items": _no(value)})]


def _names(value: Any) -> list[Negated]:
    """Return objects of which a name is not allowed: where possible, of which none."""
    if value in (True, {}, {"not": False}):
        return []
    other = as_map(_no(value))
    known = other.get("enum", [other["const"]] if "const" in other else None)
    if known is not None and not {*other} - {"enum", "const", "type"}:
        wanted = [n for n in known if isinstance(n, str)]
        return [
            Negated(schema={"type": "object", "required": [name]}) for name in wanted
        ]
    schema = {"type": "object", "minProperties": 1, "propertyNames": dict(other)}
    return [Negated(schema=schema, whole=False), _open("object")]


def _matched(value: Any) -> list[Negated]:
    found = [
        Negated(
            schema={
                "type": "object",
                "minProperties": 1,
                "patternProperties": {pattern: _no(schema)},
                "additionalProperties": False,
            },
            whole=False,
        )
        for pattern, schema in as_map(value).items()
        if schema not in (True, {})
    ]
    return [*found, _open("object")] if found else []


def _depending(value: Any) -> list[Negated]:
    found: list[Negated] = []
    for name, rule in as_map(value).items():
        wanted = {"required": rule} if is_list(rule) else rule
        schema = {"type": "object", "required": [name], "allOf": [_no(wanted)]}
        found.append(Negated(schema=schema))
    return found


def _all(value: Any) -> list[Negated]:
    return [Negated(schema=_no(part)) for part in as_list(value)]


def _none(value: Any) -> list[Negated]:
    return [Negated(schema={"allOf": [_no(part) for part in as_list(value)]})]


def _not_one(value: Any) -> list[Negated]:
    """Return what matches no branch; what matches several is left out."""
    return [Negated(schema=_none(value)[0].schema, whole=False)]


def _beside(flat: Node) -> list[Negated]:
    """Negate the keywords that read others beside them: `items`, `contains`."""
    found: list[Negated] = []
    for key in ("items", "prefixItems", "contains", "additionalProperties"):
        plain = not {"prefixItems", "minContains", "maxContains"} & {*flat}
        value = flat.get(key, True)
        if value in (True, {}):
            continue
        if plain and key == "items":
            one = {"type": "array", "minItems": 1, "contains": _no(value)}
            found.append(Negated(schema=one))
        elif plain and key == "contains":
            found += _contains(value)
        else:
            found.append(_open("object" if key == "additionalProperties" else "array"))
    return found


def _conditional(flat: Node) -> list[Negated]:
    if "if" not in flat:
        return []
    return [
        Negated(schema={"allOf": [condition, _no(flat[key])]})
        for key, condition in (("then", flat["if"]), ("else", _no(flat["if"])))
        if key in flat
    ]


_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "type": _types,
        "enum": _literals,
        "required": _required,
        "properties": _properties,
        "propertyNames": _names,
        "patternProperties": _matched,
        "dependentRequired": _depending,
        "dependentSchemas": _depending,
        "dependencies": _depending,
        "minLength": _bound("string", "maxLength", -1),
        "maxLength": _bound("string", "minLength", 1),
        "minItems": _bound("array", "maxItems", -1),
        "maxItems": _bound("array", "minItems", 1),
        "minProperties": _bound("object", "maxProperties", -1),
        "maxProperties": _bound("object", "minProperties", 1),
        "minimum": _limit("exclusiveMaximum"),
        "maximum": _limit("exclusiveMinimum"),
        "exclusiveMinimum": _limit("maximum"),
        "exclusiveMaximum": _limit("minimum"),
        "allOf": _all,
        "anyOf": _none,
        "oneOf": _not_one,
        "not": lambda value: [Negated(schema=value)],
    }
)
_OPEN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "patterns": "string",
        "format": "string",
        "multipleOf": "number",
        "uniqueItems": "array",
    }
)
"""Keywords whose negation no schema says, and the only type they are about."""
_KNOWN: Final = frozenset(
    {*_RULES, *_OPEN, "items", "prefixItems", "contains", "pattern", "const", "if"}
    | {"additionalProperties", "unevaluatedProperties", "unevaluatedItems"}
)
