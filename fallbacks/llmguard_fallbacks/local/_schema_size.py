"""How long the answers under a finite schema are, at least and at most.

The longest is counted in bytes, or in tokens of a vocabulary: text that the grammar
forces comes in the tokens that the vocabulary has for it, text that the model draws may
come byte by byte.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from re import _parser as _sre  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType] - who else tells a width?
from typing import Any, Final, cast

from ._schema_leaf import FORMATS
from ._schema_types import Node, is_map

__all__ = ["shortest", "text_bytes", "worst_size"]

_FORMAT_BYTES: Final[Mapping[str, int]] = {
    f"^({pattern})$": length for pattern, length in FORMATS.values()
}
_WIDE: Final = re.compile(r"\.|\[\^|\\[a-zA-Z]")
"""What may match characters of more than one byte: escapes too, as `\\w` does."""
_UNKNOWN_KEY: Final = 4 * 256
_CHARACTER: Final = 4
"""Bytes of a character, at most: UTF-8 of four bytes, or a two-byte escape."""
_NUMBER: Final = 40
_parse: Final = cast("Callable[[str], Any]", _sre.parse)  # pyright: ignore[reportUnknownMemberType] - as above
_WORDS: Final = "this is what texts are made of "
"""Stands for texts: letters of one kind would take more tokens than they do."""


def text_bytes(text: str) -> int:
    """Return the bytes that a text takes."""
    return len(text.encode())


def _written(value: object) -> str:
    """Write a literal as the grammar does."""
    return json.dumps(value, ensure_ascii=False)


def worst_size(schema: Node, *, forced: Callable[[str], int] = text_bytes) -> int:
    """Return a bound for the longest instance of a finite schema, as compact JSON.

    Args:
        schema: What `make_finite` made, definitions included.
        forced: Length of a text that has no alternative; by default its bytes.
    """
    return _Longest(schema.get("$defs", {}), forced).of(schema)


def shortest(schema: Node, *, full: bool = False) -> str:
    """Return a text as long as the shortest instance of a finite schema.

    It need not be an instance: patterns are not obeyed.

    Args:
        schema: What `make_finite` made, definitions included.
        full: Take the longest of alternatives, and texts as long as they may be.
    """
    return _Shortest(schema.get("$defs", {}), full=full).of(schema)


class _Longest:
    def __init__(
        self, definitions: Mapping[str, Node], forced: Callable[[str], int]
    ) -> None:
        self._definitions = definitions
        self._forced = forced
        self._known: dict[str, int] = {}

    def of(self, node: Node) -> int:
        """Return the bound of one node."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name not in self._known:
                self._known[name] = self.of(self._definitions[name])
            return self._known[name]
        if "anyOf" in node:
            return max(self.of(each) for each in node["anyOf"])
        if "enum" in node:
            texts = [_written(value) for value in node["enum"]]
            measure = self._forced if len(texts) == 1 else text_bytes
            return max(measure(text) for text in texts)
        kind = node["type"]
        if kind == "object":
            return self._object(node)
        return self._array(node) if kind == "array" else _scalar_bytes(node)

    def _object(self, node: Node) -> int:
        total = 2
        required = {*node.get("required", ())}
        for name, schema in node.get("properties", {}).items():
            measure = self._forced if name in required else text_bytes
            total += measure(f"{_written(name)}:,") + self.of(schema)
        for pattern, schema in node.get("patternProperties", {}).items():
            entry = 4 + _key_bytes(pattern) + self.of(schema)
            total += node["maxProperties"] * entry
        return total

    def _array(self, node: Node) -> int:
        prefix = node.get("prefixItems", [])
        total = 2 + sum(1 + self.of(schema) for schema in prefix)
        rest = node["maxItems"] - len(prefix)
        if rest > 0 and is_map(node.get("items")):
            total += rest * (1 + self.of(node["items"]))
        return total


def _scalar_bytes(node: Node) -> int:
    kind = node["type"]
    if kind == "string":
        known = _FORMAT_BYTES.get(node.get("pattern", ""))
        return 2 + (_CHARACTER * node["maxLength"] if known is None else known)
    if kind == "integer":
        return max(len(str(node[end])) for end in ("minimum", "maximum"))
    return _NUMBER if kind == "number" else len("false")


@functools.lru_cache(maxsize=1024)
def _key_bytes(pattern: str) -> int:
    """Return the bytes of the longest key that a pattern of ours matches, at most."""
    try:
        widest = int(_parse(pattern).getwidth()[1])
    except (re.error, RecursionError):  # what another engine reads, and Python does not
        return _UNKNOWN_KEY
    wide = _WIDE.search(pattern) is not None or not pattern.isascii()
    return min(widest * (_CHARACTER if wide else 1), _UNKNOWN_KEY)


class _Shortest:
    def __init__(self, definitions: Mapping[str, Node], *, full: bool) -> None:
        self._definitions = definitions
        self._length = "maxLength" if full else "minLength"
        self._pick = max if full else min
        self._known: dict[str, str] = {}

    def of(self, node: Node) -> str:
        """Return the text of one node."""
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name not in self._known:
                self._known[name] = self.of(self._definitions[name])
            return self._known[name]
        if "anyOf" in node:
            return self._pick((self.of(each) for each in node["anyOf"]), key=len)
        if "enum" in node:
            return self._pick((_written(value) for value in node["enum"]), key=len)
        kind = node["type"]
        if kind == "object":
            return self._object(node)
        if kind == "array":
            return self._array(node)
        return self._text(node) if kind == "string" else "1"

    def _text(self, node: Node) -> str:
        length = node[self._length]
        return f'"{(_WORDS * (length // len(_WORDS) + 1))[:length]}"'

    def _object(self, node: Node) -> str:
        members = [
            f"{_written(name)}:{self.of(node['properties'][name])}"
            for name in node.get("required", ())
        ]
        for schema in node.get("patternProperties", {}).values():
            members += [f'"":{self.of(schema)}'] * node["minProperties"]
        return "{" + ",".join(members) + "}"

    def _array(self, node: Node) -> str:
        low, prefix = node["minItems"], node.get("prefixItems", [])
        items: list[Any] = [self.of(each) for each in prefix[:low]]
        if low > len(prefix):
            items += [self.of(node["items"])] * (low - len(prefix))
        return "[" + ",".join(items) + "]"
