"""How sure the model was of each field, from the probabilities of its tokens.

A token that the grammar forced says nothing, and counts as 1. A *decision* (enum
value, boolean, number, null) has the product of the probabilities of its tokens: the
probability of that very value. Free text has their geometric mean, since a product
would only measure its length. The whole answer has the least of its decisions, or of
all fields when it decides nothing. On inputs unlike the training data these numbers
are over-confident: calibrate before a threshold means anything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ._schema_types import (
    Node,
    canonical,
    is_list,
    is_map,
    pointer,
)

__all__ = ["field_confidence", "leaf_spans", "overall"]

_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*"|[^,\]}\s]+')


def leaf_spans(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield (JSON pointer, first byte, end byte) of each scalar of compact JSON."""
    yield from _value(text, 0, "")[0]


def _value(text: bytes, at: int, path: str) -> tuple[list[tuple[str, int, int]], int]:
    opening = text[at : at + 1]
    if opening == b"{":
        return _members(text, at, path)
    if opening == b"[":
        return _items(text, at, path)
    match = _SCALAR.match(text, at)
    if match is None:
        raise ValueError(f"no JSON value at byte {at}")
    return [(path, at, match.end())], match.end()


def _members(text: bytes, at: int, path: str) -> tuple[list[tuple[str, int, int]], int]:
    spans: list[tuple[str, int, int]] = []
    at += 1
    while text[at : at + 1] == b'"':
        match = _SCALAR.match(text, at)
        assert match is not None  # noqa: S101 - a quote always starts a match
        name = json.loads(match[0])
        found, at = _value(text, match.end() + 1, pointer(path, name))
        spans += found
        at += text[at : at + 1] == b","
    return spans, at + 1


def _items(text: bytes, at: int, path: str) -> tuple[list[tuple[str, int, int]], int]:
    spans: list[tuple[str, int, int]] = []
    at += 1
    index = 0
    while text[at : at + 1] not in (b"]", b""):
        found, at = _value(text, at, pointer(path, index))
        spans += found
        at += text[at : at + 1] == b","
        index += 1
    return spans, at + 1


def field_confidence(
    pieces: Sequence[tuple[bytes, float]], schema: Node
) -> tuple[dict[str, float], frozenset[str]]:
    """Return the confidence per JSON pointer, and which of the fields are decisions.

    Args:
        pieces: Bytes and probability of each token, in order; compact JSON together.
        schema: The finite schema that was decoded.
    """
    text = b"".join(piece for piece, _ in pieces)
    decided = frozenset(_decisions(schema, json.loads(text)))
    starts = _starts(pieces)
    result: dict[str, float] = {}
    for path, first, end in leaf_spans(text):
        logs = [
            math.log(max(chance, 1e-12))
            for (at, size, chance) in starts
            if at < end and at + size > first and chance < 1
        ]
        scale = 1 if path in decided else max(1, len(logs))
        result[path] = math.exp(sum(logs) / scale)
    return result, decided


def _starts(pieces: Sequence[tuple[bytes, float]]) -> list[tuple[int, int, float]]:
    at, found = 0, list[tuple[int, int, float]]()
    for piece, chance in pieces:
        found.append((at, len(piece), chance))
        at += len(piece)
    return found


def overall(fields: dict[str, float], decided: frozenset[str]) -> float | None:
    """Return the confidence of the whole answer; None when it has no field."""
    scores = [c for path, c in fields.items() if path in decided] or [*fields.values()]
    return min(scores, default=None)


def _decisions(schema: Node, value: Any) -> Iterator[str]:
    definitions = schema.get("$defs", {})
    yield from _walk([schema], value, "", definitions)


def _walk(
    schemas: list[Node], value: Any, path: str, definitions: dict[str, Node]
) -> Iterator[str]:
    options = [o for s in schemas for o in _options(s, definitions)]
    if any(canonical(value) in _literals(o) for o in options):
        yield from _leaves(value, path)
    elif is_map(value):
        for name, inner in value.items():
            below = [
                o["properties"][name]
                for o in options
                if name in o.get("properties", {})
            ]
            below += [
                s for o in options for s in o.get("patternProperties", {}).values()
            ]
            yield from _walk(below, inner, pointer(path, name), definitions)
    elif is_list(value):
        for index, inner in enumerate(value):
            below = [o["items"] for o in options if is_map(o.get("items"))]
            below += [
                o["prefixItems"][index]
                for o in options
                if index < len(o.get("prefixItems", ()))
            ]
            yield from _walk(below, inner, pointer(path, index), definitions)
    elif not isinstance(value, str):
        yield path


def _leaves(value: Any, path: str) -> Iterator[str]:
    if is_map(value):
        for name, inner in value.items():
            yield from _leaves(inner, pointer(path, name))
    elif is_list(value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, pointer(path, index))
    else:
        yield path


def _literals(schema: Node) -> set[str]:
    return {canonical(v) for v in schema.get("enum", ())}


def _options(schema: Node, definitions: dict[str, Node]) -> Iterator[Node]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _options(definitions[name], definitions)
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _options(option, definitions)
    else:
        yield schema
