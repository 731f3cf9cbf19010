"""From a contract's JSON Schema to a provider's structured outputs.

OpenAI's strict mode guarantees the schema, but takes a subset of JSON Schema: every
object closed (`additionalProperties: false`) and every property required. A schema is
narrowed to that subset where nothing is lost by it: whatever satisfies the narrowed
schema satisfies the original. Where it cannot be narrowed it is sent as it is, not
strict. Either way the contract judges the answer by the original schema.

https://developers.openai.com/api/docs/guides/structured-outputs lists the subset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from ._duck import plain

__all__ = ["json_schema_format", "narrow"]

_UNSUPPORTED: Final = frozenset(
    {
        "allOf",
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
_MAPS: Final = ("properties", "$defs", "definitions")
_DROPPED: Final = ("default", "examples", "$schema", "$id", "$comment")
_MAX_NAME: Final = 64
_MOST_MADE: Final = 256


class _CannotNarrowError(Exception):
    """The schema uses something strict mode does not take."""


def json_schema_format(
    schema: Mapping[str, Any], name: str, *, strict: bool = True
) -> dict[str, Any] | None:
    """Return `name`, `schema` and `strict` for a request; None for non-objects.

    Args:
        schema: The contract's JSON Schema; not to be changed afterwards.
        name: What to call it; characters the API refuses become `_`.
        strict: False never asks for strict mode.

    Returns:
        The fields both OpenAI APIs want, or None when the answer is no JSON object,
        which structured outputs cannot express.
    """
    key = (id(schema), name, strict)
    known = _MADE.get(key)
    if known is None or known[0] is not schema:
        if len(_MADE) >= _MOST_MADE:
            _MADE.clear()
        # Holding the schema keeps its id from being given to another one.
        known = _MADE[key] = (schema, _make(schema, name, strict=strict))
    made = known[1]
    return None if made is None else {**made}


_MADE: Final[dict[tuple[int, str, bool], tuple[Any, dict[str, Any] | None]]] = {}
"""What was made of each schema object: a guard asks with the same one every time."""


def _make(
    schema: Mapping[str, Any], name: str, *, strict: bool
) -> dict[str, Any] | None:
    if not _is_object(schema):
        return None
    narrowed = narrow(schema) if strict else None
    return {
        "name": re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_MAX_NAME] or "answer",
        "schema": plain(schema) if narrowed is None else narrowed,
        "strict": narrowed is not None,
    }


def narrow(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema within the strict subset; None when that is impossible."""
    try:
        return cast("dict[str, Any]", _narrow(schema))
    except _CannotNarrowError:
        return None


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _narrow(node: object) -> object:
    if not isinstance(node, Mapping):
        # `true` and `{}` allow anything, which strict mode has no way to say.
        raise _CannotNarrowError
    source = cast("Mapping[str, Any]", node)
    if source.keys() & _UNSUPPORTED:
        raise _CannotNarrowError
    out = {k: plain(v) for k, v in source.items() if k not in _DROPPED}
    if "$ref" in out:
        # Strict mode takes no siblings; the target is narrowed where it is defined.
        return {"$ref": out["$ref"]}
    if not out.keys() & {"type", "enum", "const", "anyOf", "properties"}:
        raise _CannotNarrowError
    for key in _MAPS:
        if key in source:
            out[key] = {name: _narrow(sub) for name, sub in source[key].items()}
    if "anyOf" in source:
        out["anyOf"] = [_narrow(sub) for sub in source["anyOf"]]
    _close(source, out)
    return out


def _close(source: Mapping[str, Any], out: dict[str, Any]) -> None:
    """Close an object and require its properties; narrow an array's items."""
    kinds = source.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds or ())
    if "object" in kinds or "properties" in source:
        others = source.get("additionalProperties")
        if others is not None and others is not False:
            raise _CannotNarrowError
        properties = out.setdefault("properties", {})
        if not set(source.get("required", ())) <= set(properties):
            raise _CannotNarrowError
        out["additionalProperties"] = False
        out["required"] = list(properties)
    if "array" in kinds:
        out["items"] = _narrow(source.get("items"))
