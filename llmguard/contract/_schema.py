"""Looking into a JSON schema: which fields it has, and of which types.

This only answers questions at construction, such as "does this check name a field that
can exist?"; validating is jsonschema's and pydantic's work. Where a schema leaves
something open, the answer is yes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote

from ..errors import ConfigError
from ..outcome import Violation
from ._pointer import MISSING, join, locate, split_field

__all__ = ["Shape", "alternatives", "find_field", "json_types"]

_TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
_TYPE_NAMES: Final[Mapping[str, str]] = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "list": "array",
    "dict": "object",
}
_STRUCTURAL: Final = frozenset(
    {"$ref", "additionalProperties", "allOf", "anyOf", "const", "enum", "items"}
    | {"oneOf", "patternProperties", "prefixItems", "properties", "type"}
)


class Shape(Protocol):
    """How values are read from JSON and written back.

    Attributes:
        schema: The JSON schema of the value.
        names: The same schema with the Python names of the fields.
        unchecked_formats: Formats that the schema names and nobody checks.
    """

    schema: Mapping[str, object] | bool
    names: Mapping[str, object] | bool
    unchecked_formats: tuple[str, ...]

    @property
    def own_code(self) -> bool:
        """True when reading a value runs functions of the contract's author."""
        ...

    def read(self, document: object, text: str) -> tuple[object, list[Violation]]:
        """Validate a document, given also as its JSON text."""
        ...

    def write(self, value: object) -> str:
        """Write a value as JSON text; raises `ValueError` when that cannot be done."""
        ...


def alternatives(schema: object, root: object) -> Iterator[object]:
    """Yield the schemas that a value may be described by, references followed."""
    pending, seen = [schema], set[int]()
    while pending:
        node = pending.pop(0)
        if not isinstance(node, Mapping):
            yield node
            continue
        if id(cast("object", node)) in seen:
            continue
        seen.add(id(cast("object", node)))
        members = cast("Mapping[str, object]", node)
        for word in ("anyOf", "oneOf", "allOf"):
            pending.extend(cast("list[object]", members.get(word, ())))
        reference = members.get("$ref")
        if isinstance(reference, str):
            pending.append(_target(reference, root))
        if not {"anyOf", "oneOf", "allOf", "$ref"} & members.keys() or (
            {"properties", "type"} & members.keys()
        ):
            yield members


def _target(reference: str, root: object) -> object:
    """Follow a reference inside the document; one that leaves it is open."""
    found = locate(root, unquote(reference[1:])) if reference[0] == "#" else MISSING
    return True if found is MISSING else found


def find_field(field: str, shape: Shape) -> list[object]:
    """Return the schemas that a field may have.

    Raises:
        ConfigError: The schema has no such field.
    """
    parts = split_field(field)
    try:
        return _follow(parts, shape.schema)
    except LookupError as error:
        try:
            return _follow(parts, shape.names)
        except LookupError:
            raise _unknown(field, error) from None


def _follow(parts: tuple[str, ...], root: object) -> list[object]:
    here = list(alternatives(root, root))
    for index, part in enumerate(parts):
        below = [child for schema in here for child in _step(schema, part)]
        if not below:
            known = sorted({name for schema in here for name in _names(schema)})
            raise LookupError(part, join(parts[:index]), known)
        here = [found for child in below for found in alternatives(child, root)]
    return here


def _unknown(field: str, error: LookupError) -> ConfigError:
    from difflib import get_close_matches

    part, where, known = cast("tuple[str, str, list[str]]", error.args)
    close = get_close_matches(part, known, n=1)
    guess = f"; did you mean `{close[0]}`?" if close else ""
    has = (
        f"it has {', '.join(f'`{name}`' for name in known)}" if known else "it has none"
    )
    return ConfigError(
        f"the schema has no field {part!r} at {where or 'the top level'} (asked for as "
        f"{field!r}); {has}{guess}"
    )


def _names(schema: object) -> list[str]:
    if not isinstance(schema, Mapping):
        return []
    members = cast("Mapping[str, Mapping[str, object]]", schema)
    return list(members.get("properties", {}))


def _step(schema: object, part: str) -> list[object]:
    """Return the schemas of one member or item; an open schema allows anything."""
    if not isinstance(schema, Mapping):
        return [True] if schema is True else []
    members = cast("Mapping[str, object]", schema)
    if not _STRUCTURAL & members.keys():
        return [True]
    return [*_members(members, part), *_items(members, part)]


def _members(schema: Mapping[str, object], part: str) -> list[object]:
    properties = cast("Mapping[str, object]", schema.get("properties", {}))
    if part in properties:
        return [properties[part]]
    patterns = cast("Mapping[str, object]", schema.get("patternProperties", {}))
    found = [child for rule, child in patterns.items() if re.search(rule, part)]
    if part == "*":
        found = [*properties.values(), *patterns.values()]
    extra = schema.get("additionalProperties", MISSING)
    if extra is MISSING:
        # Silence means "anything" to a validator; to an author who listed the
        # properties, an unlisted one is a typing error.
        is_open = "object" in json_types([schema]) and not (properties or patterns)
        extra = is_open and "type" in schema
    return found if extra is False else [*found, extra]


def _items(schema: Mapping[str, object], part: str) -> list[object]:
    if "array" not in json_types([schema]) or not (part == "*" or part.isdecimal()):
        return []
    listed = schema.get("prefixItems", schema.get("items"))
    rest = schema.get("items", True)
    if not isinstance(listed, list):
        return [rest]
    positional = cast("list[object]", listed)
    if isinstance(rest, list):
        rest = schema.get("additionalItems", True)
    if part == "*":
        return [*positional, rest]
    index = int(part)
    chosen = positional[index] if index < len(positional) else rest
    return [] if chosen is False else [chosen]


def json_types(schemas: list[object]) -> frozenset[str]:
    """Return the JSON types that values of these schemas may have."""
    found: set[str] = set()
    for schema in schemas:
        if schema is False:
            continue
        members = cast("Mapping[str, Any]", {} if schema is True else schema)
        if "type" in members:
            declared = members["type"]
            found.update([declared] if isinstance(declared, str) else declared)
        elif "enum" in members or "const" in members:
            values = members.get("enum", [members.get("const")])
            found.update(_type_of(value) for value in values)
        else:
            found.update(_TYPES)
    return frozenset(found | ({"integer"} if "number" in found else set()))


def _type_of(value: object) -> str:
    return _TYPE_NAMES.get(type(value).__name__, "null")
