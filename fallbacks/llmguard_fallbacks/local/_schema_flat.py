"""From combinators to alternatives: `$ref`, `allOf`, `anyOf`, `oneOf` expanded."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from ._schema_merge import CONDITIONAL, merge, normalise
from ._schema_refs import References
from ._schema_types import (
    Limits,
    Node,
    SchemaRefusedError,
    as_list,
    as_map,
    canonical,
    is_list,
    is_map,
)

__all__ = ["Flat", "Flattener"]

_LATER = "is checked after decoding, and the answer drawn again when it fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """One alternative of a schema, without combinators.

    Attributes:
        keywords: Its keywords.
        depth: Times a recursive reference may still be followed below it.
        dropped: Keywords that it does not hold, with the reason.
    """

    keywords: Node
    depth: int
    dropped: tuple[tuple[str, str], ...] = ()

    def joined(self, other: Flat) -> Flat:
        """Return the alternative that means this one and `other`."""
        keywords, lost = merge(self.keywords, other.keywords)
        dropped = tuple((k, _LATER) for k in lost)
        return Flat(
            keywords=keywords,
            depth=min(self.depth, other.depth),
            dropped=(*self.dropped, *other.dropped, *dropped),
        )


class Flattener:
    """Turns a schema into alternatives of plain keywords."""

    def __init__(self, references: References, limits: Limits) -> None:
        self._references = references
        self._limits = limits

    def flatten(self, schema: Any, path: str, depth: int) -> list[Flat]:
        """Return the alternatives of `schema`; none when nothing satisfies it."""
        if schema is True or schema is False:
            return [Flat(keywords={}, depth=depth)] if schema else []
        if not is_map(schema):
            raise SchemaRefusedError(f"{path}: {schema!r} is not a JSON Schema")
        return self._expand(schema, path, depth)

    def _expand(self, schema: Node, path: str, depth: int) -> list[Flat]:
        flats = _conditions(Flat(keywords=normalise(schema), depth=depth))
        for key in ("$ref", "$dynamicRef"):
            if key in schema:
                flats = self._product(flats, self._follow(schema[key], path, depth))
        for part in as_list(schema.get("allOf")):
            flats = self._product(flats, self.flatten(part, path, depth))
        if "anyOf" in schema:
            branches = [self.flatten(s, path, depth) for s in schema["anyOf"]]
            flats = self._product(flats, list(chain(*branches)))
        if "oneOf" in schema:
            branches = [self.flatten(s, path, depth) for s in schema["oneOf"]]
            flats = self._product(flats, _exclusive(branches))
        return self._depending(flats, path, depth)

    def _follow(self, reference: str, path: str, depth: int) -> list[Flat]:
        if self._references.is_recursive(reference):
            depth -= 1
        if depth < 0:
            return []
        return self.flatten(self._references.target(reference), path, depth)

    def _product(self, left: list[Flat], right: list[Flat]) -> list[Flat]:
        # Cutting the product only makes the language smaller, never wrong.
        pairs = [a.joined(b) for a in left for b in right]
        return pairs[: self._limits.branches]

    def _depending(self, flats: list[Flat], path: str, depth: int) -> list[Flat]:
        """Multiply out `dependentRequired` and `dependentSchemas`: absent, or both."""
        result: list[Flat] = []
        for flat in flats:
            keywords = dict(flat.keywords)
            rules = {
                **as_map(keywords.pop("dependencies", None)),
                **as_map(keywords.pop("dependentRequired", None)),
                **as_map(keywords.pop("dependentSchemas", None)),
            }
            current = [Flat(keywords=keywords, depth=flat.depth, dropped=flat.dropped)]
            for name, rule in rules.items():
                current = self._product(
                    current, self._implication(name, rule, path, depth)
                )
            result.extend(current)
        return result[: self._limits.branches]

    def _implication(self, name: str, rule: Any, path: str, depth: int) -> list[Flat]:
        absent = Flat(keywords={"properties": {name: False}}, depth=depth)
        if is_list(rule):
            rule = {"required": rule}
        present = Flat(keywords={"required": [name]}, depth=depth)
        held = [present.joined(flat) for flat in self.flatten(rule, path, depth)]
        return [*held, absent]


def _conditions(flat: Flat) -> list[Flat]:
    """Take out the keywords that no alternative can express."""
    keywords = dict(flat.keywords)
    dropped = [
        (key, _LATER)
        for key in ("not", "if")
        if key in keywords and not _vacuous(key, keywords)
    ]
    for key in CONDITIONAL[:4]:
        keywords.pop(key, None)
    return [Flat(keywords=keywords, depth=flat.depth, dropped=tuple(dropped))]


def _vacuous(key: str, keywords: Node) -> bool:
    return key == "if" and "then" not in keywords and "else" not in keywords


def _exclusive(branches: list[list[Flat]]) -> list[Flat]:
    """Return the alternatives of a `oneOf`; overlapping ones are reported."""
    overlap = any(
        not _disjoint(a.keywords, b.keywords)
        for left, right in combinations(branches, 2)
        for a in left
        for b in right
    )
    note = (("oneOf", f"has branches that may overlap: {_LATER}"),) if overlap else ()
    return [
        Flat(keywords=f.keywords, depth=f.depth, dropped=(*f.dropped, *note))
        for branch in branches
        for f in branch
    ]


def _disjoint(left: Node, right: Node) -> bool:
    """Tell whether no value can satisfy both, as far as that is easy to see."""
    if _values_disjoint(left, right):
        return True
    if as_list(left.get("type")) != ["object"] or as_list(right.get("type")) != [
        "object"
    ]:
        return False
    shared = {*as_list(left.get("required"))} & {*as_list(right.get("required"))}
    properties = as_map(left.get("properties")), as_map(right.get("properties"))
    return any(
        is_map(properties[0].get(name))
        and is_map(properties[1].get(name))
        and _values_disjoint(
            normalise(properties[0][name]), normalise(properties[1][name])
        )
        for name in shared
    )


def _values_disjoint(left: Node, right: Node) -> bool:
    if "enum" in left and "enum" in right:
        known = {canonical(v) for v in left["enum"]}
        return not known & {canonical(v) for v in right["enum"]}
    if "type" not in left or "type" not in right:
        return False
    types = {*as_list(left["type"])}, {*as_list(right["type"])}
    numeric = [t & {"integer", "number"} for t in types]
    return not types[0] & types[1] and not (numeric[0] and numeric[1])
