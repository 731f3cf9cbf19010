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
from ._schema_size import worst_size
from ._schema_types import (
    LADDER,
    LeafCheck,
    Limits,
    Node,
    SchemaRefusedError,
    TooLargeError,
    Unenforced,
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
        worst_bytes=worst_size(result),
    )


def _refuse_nothing(_: Node) -> str:
    return ""
