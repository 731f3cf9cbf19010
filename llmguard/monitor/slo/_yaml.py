"""Just enough YAML to write: block style, every string quoted as JSON does it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

__all__ = ["dump"]

_WORDS: Final = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
"""Keys that some readers would take for something else."""


def dump(document: object) -> str:
    """Return JSON-able data as a YAML 1.2 document."""
    return "\n".join(_lines(document, 0)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, Mapping) and value:
        for key, item in cast("Mapping[str, Any]", value).items():
            yield from _entry(f"{pad}{_key(key)}:", item, depth)
    elif _is_list(value) and value:
        for item in cast("Sequence[Any]", value):
            inner = list(_lines(item, depth + 1))
            yield f"{pad}- {inner[0].lstrip()}"
            yield from inner[1:]
    else:
        yield pad + json.dumps(value, ensure_ascii=False)


def _entry(head: str, item: Any, depth: int) -> Iterator[str]:
    nested = isinstance(item, Mapping) or _is_list(item)
    if nested and item:
        yield head
        yield from _lines(item, depth + 1)
    else:
        yield f"{head} {json.dumps(item, ensure_ascii=False)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "a").isalpha()
    return key if plain and key.lower() not in _WORDS else json.dumps(key)
