"""Conjunction of schemas without combinators: what `allOf` means, keyword by keyword.

A *flat* schema has no `$ref`, `allOf`, `anyOf`, `oneOf`; `const` has become `enum`,
`pattern` a list under `patterns`, positional `items` have become `prefixItems`.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

from ._schema_types import (
    Node,
    as_list,
    as_map,
    canonical,
    is_list,
)

__all__ = ["both", "item_schema", "merge", "normalise", "property_schema"]

_LOWER = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_UPPER = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")


def normalise(node: Node) -> Node:
    """Return the flat keywords of one schema object in one dialect."""
    flat = {k: v for k, v in node.items() if k not in _COMBINATORS}
    if "const" in flat:
        value = flat.pop("const")
        known = flat.get("enum", [value])
        flat["enum"] = [v for v in known if canonical(v) == canonical(value)]
    if "pattern" in flat:
        flat["patterns"] = [flat.pop("pattern")]
    if is_list(flat.get("items")):
        flat["prefixItems"] = flat.pop("items")
        if "additionalItems" in flat:
            flat["items"] = flat.pop("additionalItems")
    _exclusive(flat, "Minimum", "minimum")
    _exclusive(flat, "Maximum", "maximum")
    for kind in ("Properties", "Items"):
        _unevaluated(flat, kind)
    return flat


_COMBINATORS = frozenset({"$ref", "$dynamicRef", "allOf", "anyOf", "oneOf"})


def _exclusive(flat: Node, suffix: str, plain: str) -> None:
    """Turn draft 4's boolean `exclusiveMinimum` into the number it stands for."""
    exclusive = flat.get(f"exclusive{suffix}")
    if isinstance(exclusive, bool):
        del flat[f"exclusive{suffix}"]
        if exclusive and plain in flat:
            flat[f"exclusive{suffix}"] = flat.pop(plain)


def _unevaluated(flat: Node, kind: str) -> None:
    # After merging, every named property and item is evaluated by its own schema,
    # so what is left unevaluated is exactly what is additional.
    rest = flat.pop(f"unevaluated{kind}", None)
    key = "additionalProperties" if kind == "Properties" else "items"
    if rest is not None:
        flat[key] = both(flat[key], rest) if key in flat else rest


def both(left: Any, right: Any) -> Any:
    """Return a schema that means `left` and `right`."""
    if left is True or left == {} or canonical(left) == canonical(right):
        return right
    if right is True or right == {}:
        return left
    if left is False or right is False:
        return False
    return {"allOf": [left, right]}


def property_schema(flat: Node, name: str) -> Any:
    """Return what `flat` demands of the property called `name`; False forbids it."""
    found: list[Any] = []
    properties = as_map(flat.get("properties"))
    if name in properties:
        found.append(properties[name])
    for pattern, schema in as_map(flat.get("patternProperties")).items():
        if _matches(pattern, name):
            found.append(schema)
    if not found:
        return flat.get("additionalProperties", True)
    result = found[0]
    for schema in found[1:]:
        result = both(result, schema)
    return result


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def item_schema(flat: Node, index: int) -> Any:
    """Return what `flat` demands of the item at `index`."""
    prefix = as_list(flat.get("prefixItems"))
    return prefix[index] if index < len(prefix) else flat.get("items", True)


def merge(left: Node, right: Node) -> tuple[Node, tuple[str, ...]]:
    """Return the conjunction of two flat schemas, and the keywords it had to drop."""
    merged = {**right, **left}
    for key in _LOWER:
        _extreme(merged, left, right, key, max)
    for key in _UPPER:
        _extreme(merged, left, right, key, min)
    dropped = _merge_scalars(merged, left, right)
    _merge_properties(merged, left, right)
    _merge_items(merged, left, right)
    return merged, dropped


def _extreme(merged: Node, left: Node, right: Node, key: str, pick: Any) -> None:
    if key in left and key in right:
        merged[key] = pick(left[key], right[key])


def _merge_scalars(merged: Node, left: Node, right: Node) -> tuple[str, ...]:
    if "type" in left and "type" in right:
        merged["type"] = _common_types(as_list(left["type"]), as_list(right["type"]))
    if "enum" in left and "enum" in right:
        keep = {canonical(v) for v in right["enum"]}
        merged["enum"] = [v for v in left["enum"] if canonical(v) in keep]
    if "patterns" in left and "patterns" in right:
        merged["patterns"] = list(
            dict.fromkeys([*left["patterns"], *right["patterns"]])
        )
    if "required" in left and "required" in right:
        merged["required"] = list(
            dict.fromkeys([*left["required"], *right["required"]])
        )
    if left.get("uniqueItems") or right.get("uniqueItems"):
        merged["uniqueItems"] = True
    if "multipleOf" in left and "multipleOf" in right:
        merged["multipleOf"] = _common_multiple(left["multipleOf"], right["multipleOf"])
    once = ("format", "contains", "propertyNames", *CONDITIONAL)
    return tuple(k for k in once if k in left and k in right and left[k] != right[k])


def _common_multiple(left: float, right: float) -> float:
    """Return the least number that is a multiple of two decimals."""
    a, b = Fraction(str(left)), Fraction(str(right))
    found = Fraction(
        math.lcm(a.numerator * b.denominator, b.numerator * a.denominator),
        a.denominator * b.denominator,
    )
    return int(found) if found.denominator == 1 else float(found)


CONDITIONAL = (
    "not",
    "if",
    "then",
    "else",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
)


def _common_types(left: list[str], right: list[str]) -> list[str]:
    common = [t for t in left if t in right]
    if "integer" not in common and (
        ("integer" in left and "number" in right)
        or ("number" in left and "integer" in right)
    ):
        common.append("integer")
    return common


def _merge_properties(merged: Node, left: Node, right: Node) -> None:
    names = dict.fromkeys(
        [*as_map(left.get("properties")), *as_map(right.get("properties"))]
    )
    if names:
        merged["properties"] = {
            n: both(property_schema(left, n), property_schema(right, n)) for n in names
        }
    if "patternProperties" in left and "patternProperties" in right:
        patterns = dict(left["patternProperties"])
        for pattern, schema in right["patternProperties"].items():
            patterns[pattern] = both(patterns.get(pattern, True), schema)
        merged["patternProperties"] = patterns
    if "additionalProperties" in left and "additionalProperties" in right:
        merged["additionalProperties"] = both(
            left["additionalProperties"], right["additionalProperties"]
        )


def _merge_items(merged: Node, left: Node, right: Node) -> None:
    length = max(len(as_list(s.get("prefixItems"))) for s in (left, right))
    if length:
        merged["prefixItems"] = [
            both(item_schema(left, i), item_schema(right, i)) for i in range(length)
        ]
    if "items" in left and "items" in right:
        merged["items"] = both(left["items"], right["items"])
