"""A JSON Schema's node with its references followed and its `allOf` folded in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import unquote

from ._text import same

__all__ = ["CONSTRAINTS_ONLY", "Node", "flatten", "structural"]

Node = Mapping[str, Any]
_Merge = Callable[[Any, Any], Any]
_STRUCTURE: Final = frozenset(
    {
        *("type", "properties", "items", "prefixItems", "enum", "const", "$ref"),
        *("anyOf", "oneOf", "allOf", "additionalProperties", "patternProperties"),
        *("$dynamicRef", "$recursiveRef"),
    }
)
CONSTRAINTS_ONLY: Final = frozenset(
    {"not", "if", "then", "else", "dependencies", "dependentSchemas"}
)
"""Keywords that judge a value but do not change the form: the contract checks them."""
_HOUSEKEEPING: Final = frozenset(
    {"$defs", "definitions", "$schema", "$id", "id", "$comment", "$anchor"}
)
_CANNOT: Final = object()


def structural(node: object) -> bool:
    """Say whether a part of a schema says what a value looks like."""
    return isinstance(node, bool) or (
        isinstance(node, Mapping) and bool(_STRUCTURE & set(cast("Node", node)))
    )


def flatten(node: object, root: object) -> dict[str, Any] | None:
    """Return one plain node, or None where the parts cannot safely be one.

    Only references within the schema are followed; nothing is ever fetched.
    """
    return _flatten(node, root, {})


def _flatten(
    node: object, root: object, known: dict[str, dict[str, Any] | None]
) -> dict[str, Any] | None:
    if node is True:
        return {}
    if not isinstance(node, Mapping):
        return None
    own = dict(cast("Node", node))
    if {"$dynamicRef", "$recursiveRef"} & own.keys():
        return None
    parts: list[dict[str, Any] | None] = []
    reference = own.pop("$ref", None)
    if isinstance(reference, str):
        if reference not in known:
            known[reference] = None  # what it leads back to cannot be one node
            found = _flatten(_target(reference, root), root, known)
            known[reference] = found
        parts.append(known[reference])
    inner = own.pop("allOf", None)
    if isinstance(inner, list):
        parts += [_flatten(part, root, known) for part in cast("list[object]", inner)]
    merged: dict[str, Any] | None = {}
    for part in (*parts, own):
        merged = _merged(merged, part)
    return merged


def _target(reference: str, root: object) -> object:
    if not reference.startswith("#"):
        return None
    place = unquote(reference[1:])
    if place and not place.startswith("/"):
        return _anchored(place, root, 0)
    found: Any = root
    for step in place.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = cast("Node", found).get(name)
        elif isinstance(found, list) and name.isdigit() and len(name) < 6:  # noqa: PLR2004 - digits of an index
            items = cast("list[object]", found)
            found = items[int(name)] if int(name) < len(items) else None
        else:
            return None
    return found


def _anchored(name: str, node: object, depth: int) -> object:
    if depth > 64:  # noqa: PLR2004 - no schema of a person nests so
        return None
    parts: Sequence[object] = ()
    if isinstance(node, Mapping):
        mapping = cast("Node", node)
        if mapping.get("$anchor") == name or f"#{name}" in (
            mapping.get("$id"),
            mapping.get("id"),
        ):
            return mapping
        parts = tuple(mapping.values())
    elif isinstance(node, list):
        parts = cast("list[object]", node)
    found = (_anchored(name, part, depth + 1) for part in parts)
    return next((part for part in found if part is not None), None)


def _merged(
    one: dict[str, Any] | None, other: dict[str, Any] | None
) -> dict[str, Any] | None:
    if one is None or other is None:
        return None
    result = dict(one)
    for key, value in other.items():
        if key in _HOUSEKEEPING:
            continue
        both = key in result and not same(result[key], value)
        found = _MERGERS.get(key, _later)(result[key], value) if both else value
        if found is _CANNOT:
            return None
        result[key] = found
    return result


def _later(_: object, value: object) -> object:
    return value


def _types(one: object, other: object) -> object:
    first = _as_list(one)
    second = _as_list(other)
    both = [kind for kind in first if kind in second]
    if "integer" not in both and "number" in (*first, *second):
        both += ["integer"] if "integer" in (*first, *second) else []
    return (both[0] if len(both) == 1 else both) if both else _CANNOT


def _as_list(kind: object) -> list[object]:
    return cast("list[object]", kind) if isinstance(kind, list) else [kind]


def _members(one: object, other: object) -> object:
    if not isinstance(one, Mapping) or not isinstance(other, Mapping):
        return _CANNOT
    result: dict[str, object] = dict(cast("Node", one))
    for name, part in cast("Node", other).items():
        result[name] = _both(result[name], part) if name in result else part
    return result


def _both(one: object, other: object) -> object:
    if isinstance(one, list) or isinstance(other, list):
        return _CANNOT
    if one is True or other is True:
        return other if one is True else one
    return {"allOf": [one, other]} if one and other else False


def _union(one: object, other: object) -> object:
    return list(dict.fromkeys([*_as_list(one), *_as_list(other)]))


def _common(one: object, other: object) -> object:
    found = [
        part
        for part in _as_list(one)
        if any(same(part, candidate) for candidate in _as_list(other))
    ]
    return found or _CANNOT


def _choices(one: object, other: object) -> object:
    """Keep the one that shapes the value; two that do so cannot be one."""
    shaping = [ways for ways in (one, other) if any(map(structural, _as_list(ways)))]
    return _CANNOT if len(shaping) > 1 else (shaping or [other])[0]


def _cannot(_: object, __: object) -> object:
    return _CANNOT


_MERGERS: Final[Mapping[str, _Merge]] = {
    "type": _types,
    "properties": _members,
    "patternProperties": _members,
    "required": _union,
    "additionalProperties": _both,
    "additionalItems": _both,
    "items": _both,
    "enum": _common,
    "anyOf": _choices,
    "oneOf": _choices,
    "const": _cannot,
    "prefixItems": _cannot,
}
