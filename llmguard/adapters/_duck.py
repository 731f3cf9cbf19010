"""Reading fields from dicts and SDK objects alike, without importing any SDK."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

__all__ = ["class_names", "get", "get_int", "get_list", "get_text", "plain"]


def get(obj: object, name: str) -> Any:
    """Return a key of a mapping or an attribute of an object; None when absent."""
    if obj is None:
        return None
    fields: Any = obj
    kind: Any = type(obj)
    return fields.get(name) if _has_keys(kind) else getattr(obj, name, None)


@lru_cache(maxsize=256)
def _has_keys(kind: type[Any]) -> bool:
    # Remembered: asking an abstract class takes longer than all else here.
    return issubclass(kind, Mapping)


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
    kind: Any = type(obj)
    return _names(kind)


@lru_cache(maxsize=256)
def _names(kind: type[Any]) -> frozenset[str]:
    return frozenset(base.__name__ for base in kind.__mro__)


def plain(value: object) -> Any:
    """Return mappings and sequences as dicts and lists, which JSON encoders take."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {key: plain(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[object]", value)]
    return value
