"""From combinators to alternatives: `$ref`, `allOf`, `anyOf`, `oneOf` expanded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from ._schema_merge import CONDITIONAL, merge, normalise, property_schema
from ._schema_negate import negate
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
_MOST: Final = 16
"""Alternatives that one keyword may multiply a schema into."""
_BUDGET: Final = 64
"""Alternatives that such keywords may add to a document; the rest is checked later."""


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

    def noted(self, keyword: str, reason: str) -> Flat:
        """Return this alternative with one more keyword that it does not hold."""
        return replace(self, dropped=(*self.dropped, (keyword, reason)))

    def joined(self, other: Flat) -> Flat:
        """Return the alternative that means this one and `other`."""
        keywords, lost = merge(self.keywords, other.keywords)
        dropped = tuple((k, _LATER) for k in lost)
        return Flat(
            keywords=keywords,
            depth=min(self.depth, other.depth),
            dropped=(*self.dropped, *other.dropped, *dropped),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Alternatives of which one must hold.

    Attributes:
        flats: The alternatives.
        whole: They leave out no value that keeps the rule.
    """

    flats: list[Flat]
    whole: bool


class Flattener:
    """Turns a schema into alternatives of plain keywords.

    Args:
        references: The document's references.
        limits: How many alternatives are kept.
        coarse: Leave `not`, `if` and overlapping `oneOf` to the check after decoding
            instead of multiplying them out.
    """

    def __init__(
        self, references: References, limits: Limits, *, coarse: bool = False
    ) -> None:
        self._references = references
        self._limits = limits
        self._coarse = coarse
        self._added = 0

    def flatten(self, schema: Any, path: str, depth: int) -> list[Flat]:
        """Return the alternatives of `schema`; none when nothing satisfies it."""
        if schema is True or schema is False:
            return [Flat(keywords={}, depth=depth)] if schema else []
        if not is_map(schema):
            raise SchemaRefusedError(f"{path}: {schema!r} is not a JSON Schema")
        return self._expand(schema, path, depth)

    def _expand(self, schema: Node, path: str, depth: int) -> list[Flat]:
        flat = normalise(schema)
        plain = {k: v for k, v in flat.items() if k not in CONDITIONAL[:4]}
        flats = [Flat(keywords=plain, depth=depth)]
        for key in ("$ref", "$dynamicRef"):
            if key in schema:
                flats = self._product(flats, self._follow(schema[key], path, depth))
        for part in as_list(schema.get("allOf")):
            flats = self._and(flats, part, path, depth)
        if "anyOf" in schema:
            branches = [self.flatten(s, path, depth) for s in schema["anyOf"]]
            flats = self._product(flats, list(chain(*branches)))
        if "oneOf" in schema:
            flats = self._product(flats, self._one_of(schema["oneOf"], path, depth))
        if "if" in schema and ("then" in schema or "else" in schema):
            flats = self._where(flats, self._either(schema, path, depth), "if")
        if "not" in schema:
            denied = self._denied(schema["not"], path, depth)
            flats = self._where(flats, denied, "not")
        return self._depending(flats, path, depth)

    def _follow(self, reference: str, path: str, depth: int) -> list[Flat]:
        if self._references.is_recursive(reference):
            depth -= 1
        if depth < 0:
            return []
        return self.flatten(self._references.target(reference), path, depth)

    def _and(self, flats: list[Flat], part: Any, path: str, depth: int) -> list[Flat]:
        """Join one part of an `allOf`, by its coarse form if it multiplies too much."""
        found = self.flatten(part, path, depth)
        if len(flats) * len(found) > _MOST and not self._coarse:
            rough = Flattener(self._references, self._limits, coarse=True)
            found = rough.flatten(part, path, depth)
        return self._product(flats, found)

    def _product(self, left: list[Flat], right: list[Flat]) -> list[Flat]:
        # Cutting the product only makes the language smaller, never wrong.
        pairs = [a.joined(b) for a in left for b in right]
        return [p for p in pairs if _possible(p.keywords)][: self._limits.branches]

    def _where(self, flats: list[Flat], rule: _Rule, keyword: str) -> list[Flat]:
        """Return `flats` that keep a rule, or with a note when that is too much."""
        if flats and all("enum" in flat.keywords for flat in flats):
            return flats  # literals are tried one by one
        if not self._coarse and len(flats) * len(rule.flats) <= _MOST:
            found = self._product(flats, rule.flats)
            if found or rule.whole:
                self._spend(len(found) - len(flats))
                return found
        return [flat.noted(keyword, _LATER) for flat in flats]

    def _spend(self, added: int) -> None:
        self._added += max(0, added)
        self._coarse = self._coarse or self._added > _BUDGET

    def _denied(self, schema: Any, path: str, depth: int) -> _Rule:
        """Return the alternatives of `not: schema`."""
        if self._coarse:
            return _Rule(flats=[], whole=False)
        if is_map(schema) and [*schema] in (["$ref"], ["$dynamicRef"]):
            (reference,) = schema.values()
            depth -= self._references.is_recursive(reference)
            if depth < 0:
                return _Rule(flats=[], whole=False)
            return self._denied(self._references.target(reference), path, depth)
        found = negate(schema)
        if len(found) > _MOST:
            return _Rule(flats=[], whole=False)
        flats = [
            flat if each.sound else flat.noted("not", _LATER)
            for each in found
            for flat in self.flatten(each.schema, path, depth)
        ]
        return _Rule(flats=flats, whole=all(each.whole for each in found))

    def _either(self, schema: Node, path: str, depth: int) -> _Rule:
        """Return the alternatives of `if`: with `then`, or denied and with `else`."""
        held = self.flatten(schema["if"], path, depth)
        then = self.flatten(schema.get("then", True), path, depth)
        denied = self._denied(schema["if"], path, depth)
        other = self.flatten(schema.get("else", True), path, depth)
        if not denied.flats and not denied.whole:
            return denied
        flats = self._product(held, then) + self._product(denied.flats, other)
        return _Rule(flats=flats, whole=denied.whole)

    def _one_of(self, schemas: list[Any], path: str, depth: int) -> list[Flat]:
        """Return each branch without what the ones that overlap with it accept."""
        branches = [self.flatten(s, path, depth) for s in schemas]
        found: list[Flat] = []
        for index, branch in enumerate(branches):
            alone, clear = branch, True
            for other, rival in enumerate(branches):
                if other != index and _overlap(branch, rival):
                    rule = self._denied(schemas[other], path, depth)
                    narrowed = self._product(alone, rule.flats)
                    exact = rule.whole and not any(f.dropped for f in rule.flats)
                    small = len(alone) * len(rule.flats) <= _MOST
                    alone, clear = (
                        (narrowed, clear) if exact and small else (alone, False)
                    )
            self._spend(len(alone) - len(branch))
            note = f"has branches that may overlap: {_LATER}"
            found += alone if clear else [f.noted("oneOf", note) for f in alone]
        return found

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


def _possible(keywords: Node) -> bool:
    """Tell whether a value may satisfy these keywords, as far as that is plain."""
    if keywords.get("type") == [] or keywords.get("enum") == []:
        return False
    return not any(
        property_schema(keywords, name) is False
        for name in as_list(keywords.get("required"))
        if as_list(keywords.get("type")) == ["object"]
    )


def _overlap(left: list[Flat], right: list[Flat]) -> bool:
    return any(not _disjoint(a.keywords, b.keywords) for a in left for b in right)


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
