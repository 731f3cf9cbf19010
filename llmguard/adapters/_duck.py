"""Reading fields from dicts and SDK objects alike, without importing any SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

__all__ = ["class_names", "get", "get_int", "get_list", "get_text", "plain"]


def get(obj: object, name: str) -> Any:
    """Return a key of a mapping or an attribute of an object; None when absent."""
    if obj is None:
        return None
    if type(obj) is dict:  # what JSON gives; asking an abstract class takes longer
        return obj.get(name)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - of anything
    if isinstance(obj, Mapping):
        return cast("Mapping[str, Any]", obj).get(name)
    return getattr(obj, name, None)


def get_text(obj: object, name: str) -> str | None:
    """Return the field when it is text, else None."""
    value = get(obj, name)
    return value if isinstance(value, str) else None


def get_int(obj: object, name: str) -> int | None:
    """Return the field when it is a whole number, else None."""
    value = get(obj, name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def get_list(obj: object, name: str) -> list[Any]:
    """Return the field when it is a list or tuple, else an empty list."""
    value: list[Any] | tuple[Any, ...] | None = get(obj, name)
    return list(value) if isinstance(value, list | tuple) else []


def class_names(obj: object) -> frozenset[str]:
    """Return the names of an object's class and of every base of it."""
    return frozenset(base.__name__ for base in type(obj).__mro__)


def plain(value: object) -> Any:
    """Return mappings and sequences as dicts and lists, which JSON encoders take."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {key: plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[object]", value)]
    return value
