"""The walk that turns any schema into a finite one."""

from __future__ import annotations

import re
from typing import Any

from ._imports import load
from ._schema_containers import Containers
from ._schema_flat import Flat, Flattener
from ._schema_leaf import Leaves
from ._schema_refs import References
from ._schema_types import (
    LeafCheck,
    Limits,
    Node,
    SchemaRefusedError,
    TooLargeError,
    Unenforced,
    as_list,
    canonical,
    is_map,
)

__all__ = ["Builder"]

_IMPLIED = {
    "object": (
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
    ),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains"),
    "string": ("patterns", "minLength", "maxLength", "format"),
    "number": (
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
    ),
}
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$comment", "deprecated"}
)


class Builder:
    """Builds the finite schema of one document."""

    def __init__(
        self, root: Any, limits: Limits, refuses: LeafCheck, *, coarse: bool = False
    ) -> None:
        self._root = root
        self._limits = limits
        self._references = References(root)
        self._flattener = Flattener(self._references, limits, coarse=coarse)
        self._leaves = Leaves(limits=limits, refuses=refuses, report=self.report)
        self._containers = Containers(self, limits, self._leaves)
        self._valid = _validity(root)
        self._names: dict[tuple[str, int], str | None] = {}
        self._nodes = 0
        self.definitions: dict[str, Node] = {}
        self.unenforced: list[Unenforced] = []

    def build_root(self) -> Node | None:
        """Return the finite form of the document; None when nothing satisfies it."""
        return self.build(self._root, "#", self._limits.depth)

    def report(self, path: str, keyword: str, reason: str) -> None:
        """Note a keyword that the result does not enforce."""
        self.unenforced.append(Unenforced(path=path, keyword=keyword, reason=reason))

    def accepts(self, schema: Any, value: object) -> bool:
        """Tell whether `value` satisfies `schema`, read inside the document."""
        return bool(self._valid(schema, value))

    def build(self, schema: Any, path: str, depth: int) -> Node | None:
        """Return the finite form of one schema; None when nothing satisfies it.

        Args:
            schema: A schema of the document, or one merged from several.
            path: Where it came from, for reports.
            depth: Times that a recursive reference may still be followed.
        """
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise TooLargeError(
                f"the schema unrolls into more than {self._limits.nodes} parts; "
                "make it smaller or less recursive"
            )
        if schema is False:
            return None
        if schema is True:
            schema = {}
        if not is_map(schema):
            raise SchemaRefusedError(f"{path}: {schema!r} is not a JSON Schema")
        reference = _pure_reference(schema)
        if reference is not None:
            return self._named(reference, path, depth)
        return self._inline(schema, path, depth)

    def _named(self, reference: str, path: str, depth: int) -> Node | None:
        if self._references.is_recursive(reference):
            depth -= 1
        if depth < 0:
            return None
        key = (reference, depth)
        if key not in self._names:
            self._names[key] = None  # a reference to itself is satisfied by nothing
            found = self.build(self._references.target(reference), path, depth)
            if found is not None:
                name = f"d{len(self.definitions)}"
                self.definitions[name] = found
                self._names[key] = name
        name_or_none = self._names[key]
        return {"$ref": f"#/$defs/{name_or_none}"} if name_or_none else None

    def _inline(self, schema: Node, path: str, depth: int) -> Node | None:
        options: list[Node] = []
        for flat in self._flattener.flatten(schema, path, depth):
            options.extend(self._pieces(flat, schema, path))
        return _any_of(options)

    def _pieces(self, flat: Flat, schema: Node, path: str) -> list[Node]:
        if "enum" in flat.keywords:
            known = [v for v in flat.keywords["enum"] if self._valid(schema, v)]
            return [{"enum": known}] if known else []
        found = [self._piece(kind, flat, path) for kind in _types(flat.keywords)]
        kept = [piece for piece in found if piece is not None]
        if kept:
            for keyword, reason in flat.dropped:
                self.report(path, keyword, reason)
        return kept

    def _piece(self, kind: str, flat: Flat, path: str) -> Node | None:
        match kind:
            case "null" | "boolean":
                return {"type": kind}
            case "string":
                return self._leaves.string(flat.keywords, path)
            case "integer" | "number":
                return self._leaves.number(flat.keywords, path, whole=kind == "integer")
            case "array":
                return self._containers.array(flat, path)
            case "object":
                return self._containers.object(flat, path)
            case _:
                raise SchemaRefusedError(f"{path}: {kind!r} is not a JSON type")


def _pure_reference(schema: Node) -> str | None:
    rest = [k for k in schema if k not in _ANNOTATIONS]
    if rest in (["$ref"], ["$dynamicRef"]):
        return str(schema[rest[0]])
    return None


def _any_of(options: list[Node]) -> Node | None:
    unique = list({canonical(option): option for option in options}.values())
    if len(unique) <= 1:
        return unique[0] if unique else None
    return {"anyOf": unique}


def _types(keywords: Node) -> list[str]:
    """Return the types to offer: declared ones, else those the keywords are about."""
    if "type" in keywords:
        declared = as_list(keywords["type"])
        return [t for t in declared if t != "integer" or "number" not in declared]
    implied = [t for t, keys in _IMPLIED.items() if any(k in keywords for k in keys)]
    # Free values stay scalar: a free object or list would have no natural end.
    return implied or ["null", "boolean", "integer", "string"]


def _validity(root: Any) -> Any:
    """Return `(schema, value) -> bool` that reads references inside `root`."""
    jsonschema = load("jsonschema")
    document: Any = root if is_map(root) else {}
    kind = jsonschema.validators.validator_for(
        document, default=jsonschema.Draft202012Validator
    )
    validator = kind(document, format_checker=kind.FORMAT_CHECKER)

    def valid(schema: Any, value: object) -> bool:
        try:
            return not any(True for _ in validator.descend(value, schema))
        except re.error as error:
            raise SchemaRefusedError(
                f"a pattern is no regular expression: {error}"
            ) from error

    return valid
