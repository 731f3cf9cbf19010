"""JSON pointers (RFC 6901) and the shorter dotted form that people write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..errors import ConfigError
from ._kinds import is_items, is_object

__all__ = ["MISSING", "child", "join", "locate", "split_field"]

MISSING: Final = object()
"""What `locate` returns for a pointer that leads nowhere."""


def join(parts: Iterable[object]) -> str:
    """Write a JSON pointer; no parts give the empty pointer, the whole value."""
    return "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts
    )


def split_field(field: str) -> tuple[str, ...]:
    """Read `a.b.0`, `items.*.price` or `/a/b/0` into its parts.

    A `*` stands for every item of an array or every member of an object.

    Raises:
        ConfigError: The field has an empty part.
    """
    if field.startswith("/"):
        return tuple(
            part.replace("~1", "/").replace("~0", "~") for part in field[1:].split("/")
        )
    parts = tuple(field.split(".")) if field else ()
    if "" in parts:
        raise ConfigError(
            f"the field {field!r} has an empty part; write `a.b` or `/a/b`"
        )
    return parts


def locate(document: object, pointer: str) -> object:
    """Follow a JSON pointer through plain JSON; `MISSING` when it leads nowhere."""
    here = document
    for part in split_field(pointer):
        here = child(here, part)
        if here is MISSING:
            break
    return here


def child(value: object, part: str) -> object:
    """Take one step into plain JSON; `MISSING` when there is nothing there."""
    if is_object(value):
        return value.get(part, MISSING)
    if is_items(value) and part.isdecimal():
        return value[int(part)] if int(part) < len(value) else MISSING
    return MISSING
