"""Answers typed field by field, read the way the ticket's schema means them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from llmguard._nested import read_json
from llmguard.store import answer_violations

__all__ = ["assemble", "describe", "example", "fields_of", "parse_text"]

Schema = Mapping[str, object]
_MISSING: Final = object()
_DEFINITIONS: Final = ("$defs", "definitions")
_LONGEST = 160


def fields_of(schema: Schema | None) -> Mapping[str, Schema]:
    """Return the fields of an answer that is an object, in the schema's order."""
    found = _resolve(schema or {}, schema or {}).get("properties")
    if not isinstance(found, dict):
        return {}
    properties = cast("dict[str, object]", found)
    return {name: _as_schema(part) for name, part in properties.items()}


def assemble(schema: Schema | None, pairs: Iterable[str]) -> dict[str, object]:
    """Return the object that `NAME=VALUE` pairs describe.

    A value is JSON where the field's schema takes it so, else text: `order_id=null`
    is null, `order_id=17` is the text "17" where only text is allowed. `a.b=1` sets
    a field of a nested object.

    Raises:
        ValueError: A pair has no `=`, or a dotted name leads into something else.
    """
    answer: dict[str, object] = {}
    for pair in pairs:
        name, found, text = pair.partition("=")
        if not found or not name:
            raise ValueError(f"{pair!r} is not `NAME=VALUE`")
        path = [name] if name in fields_of(schema) else name.split(".")
        part = _at(schema or {}, path)
        _set(answer, path, parse_text(text, part, schema or {}))
    return answer


def parse_text(text: str, part: Schema, root: Schema) -> object:
    """Return `text` as the value that `part` of the schema `root` takes."""
    try:
        value: object = read_json(text)
    except ValueError:
        return text
    if _fits(value, part, root) or not _fits(text, part, root):
        return value
    return text


def _fits(value: object, part: Schema, root: Schema) -> bool:
    definitions = {name: root[name] for name in _DEFINITIONS if name in root}
    return not answer_violations({**definitions, **part}, value)


def _at(root: Schema, path: Iterable[str]) -> Schema:
    part = root
    for name in path:
        properties = _resolve(part, root).get("properties")
        if not isinstance(properties, dict):
            return {}
        part = _as_schema(cast("dict[str, object]", properties).get(name, {}))
    return part


def _set(answer: dict[str, object], path: list[str], value: object) -> None:
    place = answer
    for name in path[:-1]:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(  # noqa: TRY004 - what was typed is wrong, not its type
                f"{'.'.join(path)!r}: {name!r} already has a value"
            )
        place = cast("dict[str, object]", inner)
    place[path[-1]] = value


def _as_schema(part: object) -> Schema:
    """Return a schema as a mapping; `true` allows anything, and so does {}."""
    if isinstance(part, Mapping):
        return cast("Schema", part)
    return {} if part else {"not": {}}


def _resolve(part: Schema, root: Schema) -> Schema:
    """Follow references within the schema; circles end after a few steps."""
    for _ in range(8):
        reference = part.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return part
        found: Any = root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = _as_schema(found).get(name, {})
        part = _as_schema(found)
    return {}


def describe(part: Schema, root: Schema, *, depth: int = 0) -> str:
    """Return in a few words what a field takes."""
    part = _resolve(part, root)
    text = _describe(part, root, depth)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _describe(part: Schema, root: Schema, depth: int) -> str:
    choices = part.get("enum", [part["const"]] if "const" in part else None)
    if isinstance(choices, list):
        return " | ".join(json.dumps(one) for one in cast("list[object]", choices))
    ways = part.get("anyOf", part.get("oneOf"))
    if isinstance(ways, list) and depth < 3:  # noqa: PLR2004 - deep enough for a line
        parts = [_as_schema(way) for way in cast("list[object]", ways)]
        words = (describe(way, root, depth=depth + 1) for way in parts)
        return " or ".join(dict.fromkeys(words))
    kind = part.get("type", "any JSON")
    names = cast("list[str]", kind) if isinstance(kind, list) else [str(kind)]
    text = " or ".join(names)
    if "array" in names and depth < 3:  # noqa: PLR2004 - deep enough for a line
        items = describe(_as_schema(part.get("items", {})), root, depth=depth + 1)
        text += f" of {items}"
    return text + _bounds(part)


def _bounds(part: Schema) -> str:
    words = {
        "minimum": ">=",
        "maximum": "<=",
        "minLength": "length >=",
        "maxLength": "length <=",
        "pattern": "matching",
        "format": "as",
    }
    found = [f"{word} {part[name]}" for name, word in words.items() if name in part]
    return f" ({', '.join(found)})" if found else ""


def example(part: Schema, root: Schema) -> str:
    """Return a value to show in a command that a person will edit."""
    part = _resolve(part, root)
    default = part.get("default", _MISSING)
    choices = part.get("enum", [part["const"]] if "const" in part else None)
    if isinstance(choices, list) and choices:
        first = cast("list[object]", choices)[0]
        return first if isinstance(first, str) else json.dumps(first)
    if default is not _MISSING and not isinstance(default, str):
        return json.dumps(default)
    ways = part.get("anyOf", part.get("oneOf"))
    if isinstance(ways, list) and ways:
        return example(_as_schema(cast("list[object]", ways)[0]), root)
    return {"boolean": "false", "integer": "0", "number": "0", "null": "null"}.get(
        str(part.get("type")), "..."
    )
