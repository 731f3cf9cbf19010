"""Words shared by the modules that make a schema finite."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

from llmguard.errors import ConfigError

__all__ = [
    "LADDER",
    "LeafCheck",
    "Limits",
    "Node",
    "SchemaRefusedError",
    "TooLargeError",
    "Unenforced",
    "canonical",
]

Node: TypeAlias = dict[str, Any]
"""One JSON Schema object: the values are whatever JSON holds."""

LeafCheck: TypeAlias = Callable[[Node], str]
"""Says why the grammar engine cannot take a schema; `""` when it can."""


class SchemaRefusedError(ConfigError):
    """No grammar can be built for this schema; the message says which part and why."""


class TooLargeError(SchemaRefusedError):
    """The schema unrolls into too many parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unenforced:
    """A keyword that decoding cannot enforce, so that it is checked afterwards.

    Attributes:
        path: Where in the schema, as a JSON pointer fragment (`#/properties/tags`).
        keyword: The keyword.
        reason: One sentence: why, and what happens instead.
    """

    path: str
    keyword: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: `{self.keyword}` {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds put on whatever a schema leaves open, so that generation always ends.

    A schema's own tighter bounds win; its own minimums are always respected.

    Attributes:
        string: Characters in a string.
        items: Items in an array.
        entries: Entries in a map with free keys.
        key: Characters in a free key, at most.
        depth: Times one recursive `$ref` is followed below itself.
        magnitude: Largest absolute value of a number without bounds.
        step: Decimal step of a number without `multipleOf`.
        optional: Optional properties kept in an object, first ones first.
        branches: Alternatives kept of a product of `anyOf` and `allOf`.
        nodes: Schema nodes built before the schema is refused as too large.
    """

    string: int = 512
    items: int = 16
    entries: int = 8
    key: int = 24
    depth: int = 3
    magnitude: int = 1_000_000_000
    step: float = 0.01
    optional: int = 1000
    branches: int = 64
    nodes: int = 20_000


LADDER: Final[tuple[Limits, ...]] = (
    Limits(),
    Limits(string=128, items=8, entries=4, depth=2),
    Limits(string=32, items=3, entries=2, depth=1, key=12, optional=20),
    Limits(string=12, items=1, entries=1, depth=1, key=6, magnitude=1000, optional=0),
)
"""Ever tighter limits: an answer that was cut off is drawn again from the next rung."""


def canonical(value: object) -> str:
    """Return one text per JSON value: `1` and `true` stay apart, `1.0` is `1`."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if ".0" not in text and "e" not in text:
        return text
    return json.dumps(_whole(value), sort_keys=True, ensure_ascii=False)


def _whole(value: Any) -> Any:
    if is_map(value):
        return {key: _whole(inner) for key, inner in value.items()}
    if is_list(value):
        return [_whole(inner) for inner in value]
    whole = isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def pointer(path: str, *parts: str | int) -> str:
    """Append reference tokens to a JSON pointer, escaped as RFC 6901 says."""
    escaped = (str(p).replace("~", "~0").replace("/", "~1") for p in parts)
    return "/".join((path, *escaped))


def is_map(value: object) -> TypeGuard[Node]:
    """Tell whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a JSON value is an array."""
    return isinstance(value, list)


def as_list(value: object) -> list[Any]:
    """Return `value` itself when it is a list, else a list of it; None is empty."""
    if value is None:
        return []
    return value if is_list(value) else [value]


def as_map(value: object) -> Mapping[str, Any]:
    """Return `value` when it is an object, else an empty one."""
    return value if is_map(value) else {}
