"""Make a JSON Schema finite, so that constrained generation always closes.

Nothing closes a JSON text when the tokens run out, so the grammar must hold only
texts of bounded length: strings, arrays, maps and numbers get bounds, objects are
closed, recursive `$ref`s unrolled. Every instance of the result is an instance of
the original, but for the keywords in `Finite.unenforced`, which no grammar engine
takes: they are checked after decoding, and the answer drawn again when they fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._schema_build import Builder
from ._schema_leaf import literal_bytes
from ._schema_types import (
    LADDER,
    LeafCheck,
    Limits,
    Node,
    SchemaRefusedError,
    TooLargeError,
    Unenforced,
    is_map,
)

__all__ = [
    "LADDER",
    "Finite",
    "Limits",
    "SchemaRefusedError",
    "Unenforced",
    "make_finite",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finite:
    """A schema whose language is finite.

    Attributes:
        schema: The finite schema, in the part of draft 2020-12 that llguidance takes.
        unenforced: Keywords of the original that it does not hold.
        worst_bytes: Length of its longest instance as compact JSON, in bytes, at most;
            a token is at least one byte, so it bounds the tokens as well.
    """

    schema: Node
    unenforced: tuple[Unenforced, ...]
    worst_bytes: int


def make_finite(
    schema: Any, *, limits: Limits | None = None, refuses: LeafCheck | None = None
) -> Finite:
    """Return a finite schema that accepts only what `schema` accepts.

    Args:
        schema: JSON Schema, draft 4 to 2020-12; True means any value.
        limits: Bounds for whatever the schema leaves open.
        refuses: Asks the grammar engine about one leaf; by default nothing is
            refused, so the result may hold patterns that no engine takes.

    Raises:
        SchemaRefusedError: Nothing satisfies it within the limits, it refers to
            another document, or it is too large.
    """
    limits, refuses = limits or Limits(), refuses or _refuse_nothing
    builder = Builder(schema, limits, refuses)
    try:
        found = builder.build_root()
    except TooLargeError:
        builder = Builder(schema, limits, refuses, coarse=True)
        found = builder.build_root()
    if found is None:
        raise SchemaRefusedError(
            "nothing satisfies this schema within the limits of the local runtime; "
            "look for contradicting `allOf` parts, an empty `enum`, or a recursion "
            "that never ends"
        )
    definitions = builder.definitions
    result = {**found, "$defs": definitions} if definitions else found
    return Finite(
        schema=result,
        unenforced=tuple(dict.fromkeys(builder.unenforced)),
        worst_bytes=_worst(found, definitions, {}),
    )


def _refuse_nothing(_: Node) -> str:
    return ""


def _worst(node: Node, definitions: dict[str, Node], known: dict[str, int]) -> int:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        if name not in known:
            known[name] = _worst(definitions[name], definitions, known)
        return known[name]
    if "anyOf" in node:
        return max(_worst(s, definitions, known) for s in node["anyOf"])
    if "enum" in node:
        return max(literal_bytes(v) for v in node["enum"])
    kind = node["type"]
    if kind == "object":
        return _worst_object(node, definitions, known)
    if kind == "array":
        return _worst_array(node, definitions, known)
    # A character is at most four bytes of UTF-8 or a two-byte escape.
    return 2 + 4 * node["maxLength"] if kind == "string" else 40


def _worst_object(
    node: Node, definitions: dict[str, Node], known: dict[str, int]
) -> int:
    total = 2
    for name, schema in node.get("properties", {}).items():
        total += literal_bytes(name) + 2 + _worst(schema, definitions, known)
    for schema in node.get("patternProperties", {}).values():
        entry = 4 * 256 + 4 + _worst(schema, definitions, known)
        total += node["maxProperties"] * entry
    return total


def _worst_array(
    node: Node, definitions: dict[str, Node], known: dict[str, int]
) -> int:
    prefix = node.get("prefixItems", [])
    total = 2 + sum(1 + _worst(s, definitions, known) for s in prefix)
    rest = node["maxItems"] - len(prefix)
    if rest > 0 and is_map(node.get("items")):
        total += rest * (1 + _worst(node["items"], definitions, known))
    return total
