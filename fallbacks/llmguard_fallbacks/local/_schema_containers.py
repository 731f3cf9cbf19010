"""Objects and arrays with an end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any, Final, Protocol

from ._schema_flat import Flat
from ._schema_leaf import Leaves, fixed_key_pattern
from ._schema_merge import both, item_schema, property_schema
from ._schema_types import Limits, Node, as_list, as_map, pointer

__all__ = ["Containers"]

_SETS: Final = 256
"""Literal arrays that may stand for an array of unique items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """Keys of a map: their pattern, the schema of a value, the pattern it is from."""

    pattern: str
    schema: Any
    own: str = ""


class _Builds(Protocol):
    def build(self, schema: Any, path: str, depth: int) -> Node | None: ...
    def accepts(self, schema: Any, value: object) -> bool: ...
    def report(self, path: str, keyword: str, reason: str) -> None: ...


class Containers:
    """Builds finite objects and arrays."""

    def __init__(self, builder: _Builds, limits: Limits, leaves: Leaves) -> None:
        self._builder = builder
        self._limits = limits
        self._leaves = leaves

    def array(self, flat: Flat, path: str) -> Node | None:
        """Return a bounded array schema; None when no array satisfies it."""
        keywords = self._containing(flat.keywords, path)
        low = int(keywords.get("minItems", 0))
        high = int(
            min(keywords.get("maxItems", math.inf), max(low, self._limits.items))
        )
        prefix = self._prefix(keywords, high, path, flat.depth)
        result: Node = {"type": "array", "minItems": low}
        if prefix:
            result["prefixItems"] = prefix
        if high > len(prefix) == len(as_list(keywords.get("prefixItems"))):
            where = pointer(path, "items")
            item = self._builder.build(keywords.get("items", True), where, flat.depth)
        else:
            item = None
        result["items"] = item if item is not None else False
        result["maxItems"] = high if item is not None else min(high, len(prefix))
        if keywords.get("uniqueItems"):
            return self._unique(result, path)
        return result if low <= result["maxItems"] else None

    def _unique(self, node: Node, path: str) -> Node | None:
        """Write the sets of a few literals out; leave others to the check."""
        low, high = node["minItems"], node["maxItems"]
        known = None if "prefixItems" in node else _literals(node["items"])
        if known is not None:
            high = node["maxItems"] = min(high, len(known))
            sets = _sets(known, low, high)
            if sets is not None:
                return {"enum": sets} if sets else None
        if high > 1:
            self._builder.report(
                path, "uniqueItems", "would need a memory of the items"
            )
        return node if low <= high else None

    def _prefix(self, keywords: Node, high: int, path: str, depth: int) -> list[Node]:
        found: list[Node] = []
        for index in range(min(high, len(as_list(keywords.get("prefixItems"))))):
            where = pointer(path, "prefixItems", index)
            item = self._builder.build(item_schema(keywords, index), where, depth)
            if item is None:
                break
            found.append(item)
        return found

    def _containing(self, keywords: Node, path: str) -> Node:
        """Put what an array must contain in front, where a grammar can hold it."""
        if "contains" not in keywords or keywords.get("minContains", 1) == 0:
            self._too_many(keywords, path)
            return keywords
        count = int(keywords.get("minContains", 1))
        length = max(count, len(as_list(keywords.get("prefixItems"))))
        prefix = [item_schema(keywords, i) for i in range(length)]
        for index in range(count):
            prefix[index] = both(prefix[index], keywords["contains"])
        self._too_many(keywords, path)
        low = max(count, int(keywords.get("minItems", 0)))
        return {**keywords, "prefixItems": prefix, "minItems": low}

    def _too_many(self, keywords: Node, path: str) -> None:
        if "contains" in keywords and "maxContains" in keywords:
            self._builder.report(path, "maxContains", "would need a count of the items")

    def object(self, flat: Flat, path: str) -> Node | None:
        """Return a closed object schema; None when no object satisfies it."""
        keywords = flat.keywords
        required = list(dict.fromkeys(as_list(keywords.get("required"))))
        names = [*as_map(keywords.get("properties"))]
        names += [n for n in required if n not in names]
        low, high = _counts(keywords)
        spare = max(self._limits.optional, low - len(required))
        properties: dict[str, Node] = {}
        for name in names:
            if name not in required and spare == 0:
                continue
            found = self._property(flat, name, path)
            spare -= found is not None and name not in required
            if found is not None:
                properties[name] = found
            elif name in required:
                return None
        if not properties and high > 0 and not as_map(keywords.get("properties")):
            return self._map(flat, path, low, high)
        self._fill(flat, properties, low, path)
        return _closed(properties, required, low, high)

    def _fill(
        self, flat: Flat, properties: dict[str, Node], low: int, path: str
    ) -> None:
        """Add free properties where the named ones are fewer than must be."""
        for number in range(1, low + 1):
            name = f"key{number}"
            if len(properties) >= low or name in properties:
                continue
            found = self._property(flat, name, path)
            if found is None:
                return
            properties[name] = found

    def _property(self, flat: Flat, name: str, path: str) -> Node | None:
        names = flat.keywords.get("propertyNames", True)
        if names is not True and not self._builder.accepts(names, name):
            return None
        schema = property_schema(flat.keywords, name)
        return self._builder.build(
            schema, pointer(path, "properties", name), flat.depth
        )

    def _map(self, flat: Flat, path: str, low: int, high: float) -> Node | None:
        """Return a map with free keys, of few entries with short keys."""
        keys = self._keys(flat.keywords, path)
        patterns = as_map(flat.keywords.get("patternProperties"))
        strict = [self._strict(key, patterns) for key in keys]
        entries = self._first(flat, strict, path)
        if entries is None:
            entries = self._first(flat, keys, path)
            if entries is None:
                return _closed({}, [], low, high)
            reason = "may overlap in the keys that they match"
            self._builder.report(path, "patternProperties", reason)
        if low > 1:
            self._builder.report(path, "minProperties", "a key may be drawn twice")
        return {
            "type": "object",
            "patternProperties": entries,
            "additionalProperties": False,
            "minProperties": low,
            "maxProperties": int(min(high, max(low, self._limits.entries))),
        }

    def _first(self, flat: Flat, keys: list[_Key], path: str) -> dict[str, Node] | None:
        where = pointer(path, "additionalProperties")
        for key in keys:
            found = self._builder.build(key.schema, where, flat.depth)
            if found is not None:
                return {key.pattern: found}
        return None

    def _keys(self, keywords: Node, path: str) -> list[_Key]:
        """Return what free keys may be, those to prefer first."""
        longest = self._limits.key
        patterns = as_map(keywords.get("patternProperties"))
        found = [
            _Key(pattern=fixed_key_pattern(p, longest=longest), schema=s, own=p)
            for p, s in patterns.items()
        ]
        names = as_map(keywords.get("propertyNames"))
        wanted = names.get("pattern")
        if {*names} - {"pattern", "type"} or (wanted and found):
            self._builder.report(path, "propertyNames", "is not part of the grammar")
        rest = keywords.get("additionalProperties", True)
        if rest is not False:
            free = f"^[A-Za-z][A-Za-z0-9_]{{0,{longest - 1}}}$"
            key = fixed_key_pattern(wanted, longest=longest) if wanted else free
            found.append(_Key(pattern=key, schema=rest))
        return [key for key in found if not self._refused_key(key.pattern, path)]

    def _strict(self, key: _Key, patterns: Mapping[str, Any]) -> _Key:
        """Return `key` with all that its values must be if other patterns match it."""
        schema = key.schema
        for other, demand in patterns.items():
            if other != key.own and not self._apart(key.pattern, other):
                schema = both(schema, demand)
        return key if schema is key.schema else replace(key, schema=schema)

    def _apart(self, key: str, other: str) -> bool:
        parts = [{"pattern": key}, {"pattern": other}]
        problem = self._leaves.refuses({"type": "string", "allOf": parts})
        return "nsatisfiable" in problem

    def _refused_key(self, pattern: str, path: str) -> bool:
        problem = self._leaves.refuses({"type": "string", "pattern": pattern})
        if problem:
            reason = f"is beyond the grammar engine: {problem}"
            self._builder.report(path, "patternProperties", reason)
        return bool(problem)


def _literals(item: Any) -> list[Any] | None:
    """Return the values of an item, when they are few and written out."""
    if item is False:
        return []
    if item.get("type") == "boolean":
        return [False, True]
    return as_list(item["enum"]) if "enum" in item else None


def _sets(values: list[Any], low: int, high: int) -> list[list[Any]] | None:
    """Return the arrays without repetition, or None when there are too many.

    Those of a few values in any order, else each set in the order of the schema.
    """
    for choose, count in ((permutations, math.perm), (combinations, math.comb)):
        sizes = range(low, min(high, len(values)) + 1)
        if sum(count(len(values), size) for size in sizes) <= _SETS:
            return [[*each] for size in sizes for each in choose(values, size)]
    return None


def _counts(keywords: Node) -> tuple[int, float]:
    low = int(keywords.get("minProperties", 0))
    return low, keywords.get("maxProperties", math.inf)


def _closed(
    properties: dict[str, Node], required: list[str], low: int, high: float
) -> Node | None:
    """Return an object of exactly these properties, within the counts."""
    # Counts are met by construction: optional properties become required or go.
    optional = [n for n in properties if n not in required]
    required = [*required, *optional[: max(0, low - len(required))]]
    if len(properties) > high:
        spare = [n for n in properties if n not in required]
        room = int(high) - len(required)
        dropped = {*spare[max(0, room) :]}
        properties = {n: s for n, s in properties.items() if n not in dropped}
    if len(required) < low or len(required) > high:
        return None
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
