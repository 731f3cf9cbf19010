"""References inside one schema document; nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from ._schema_types import (
    Node,
    SchemaRefusedError,
    as_map,
    is_list,
    is_map,
)

__all__ = ["References"]

_LITERALS = frozenset({"enum", "const", "default", "examples"})
_MAPS = frozenset(
    {
        "properties",
        "patternProperties",
        "$defs",
        "definitions",
        "dependentSchemas",
        "dependencies",
    }
)


class References:
    """Finds what a `$ref` points at, and which of them lead back to themselves."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._base = _identity(root)
        self._known = dict(_identified(root, self._base))
        self._recursive: dict[str, bool] = {}

    def target(self, ref: str) -> Any:
        """Return the schema that `ref` names.

        Raises:
            SchemaRefusedError: It is not inside this document.
        """
        if ref in ("", "#"):
            return self._root
        if ref.startswith("#/"):
            return self._pointer(self._root, ref[2:], ref)
        document, fragment = urldefrag(urljoin(self._base, ref))
        whole = self._known.get(f"{document}#{fragment}", self._known.get(document))
        if whole is None:
            raise SchemaRefusedError(
                f"`$ref` {ref!r} is not inside this schema, and remote references are "
                "never fetched; copy its target under `$defs`"
            )
        starts = fragment.startswith("/")
        return self._pointer(whole, fragment[1:], ref) if starts else whole

    def is_recursive(self, ref: str) -> bool:
        """Tell whether following `ref` can come back to `ref`."""
        if ref not in self._recursive:
            self._recursive[ref] = self._reaches(ref)
        return self._recursive[ref]

    def _reaches(self, ref: str) -> bool:
        seen: set[str] = set()
        todo = list(_refs(self.target(ref)))
        while todo:
            name = todo.pop()
            if self.target(name) is self.target(ref):
                return True
            if name not in seen:
                seen.add(name)
                todo.extend(_refs(self.target(name)))
        return False

    @staticmethod
    def _pointer(node: Any, path: str, ref: str) -> Any:
        for raw in path.split("/"):
            part = unquote(raw).replace("~1", "/").replace("~0", "~")
            try:
                node = node[int(part)] if is_list(node) else node[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaRefusedError(
                    f"`$ref` {ref!r} points at nothing in this schema; "
                    f"there is no {part!r}"
                ) from None
        return node


def _identity(node: Any) -> str:
    found = as_map(node)
    return str(found.get("$id", found.get("id", "")))


def _subschemas(node: Any) -> Iterator[Node]:
    if is_map(node):
        yield node
        for key, value in node.items():
            if key in _MAPS and is_map(value):
                for schema in value.values():
                    yield from _subschemas(schema)
            elif key not in _LITERALS:
                yield from _subschemas(value)
    elif is_list(node):
        for value in node:
            yield from _subschemas(value)


def _identified(root: Any, base: str) -> Iterator[tuple[str, Node]]:
    for node in _subschemas(root):
        own = node.get("$id", node.get("id"))
        if isinstance(own, str):
            document, fragment = urldefrag(urljoin(base, own))
            yield (f"{document}#{fragment}" if fragment else document), node
        for key in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.get(key), str):
                yield f"{urldefrag(base)[0]}#{node[key]}", node


def _refs(node: Any) -> Iterator[str]:
    for found in _subschemas(node):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(found.get(key), str):
                yield found[key]
