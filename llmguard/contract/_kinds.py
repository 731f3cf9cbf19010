"""What a piece of JSON is, told to the type checkers as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard, cast

__all__ = ["is_array", "is_items", "is_object", "several"]


def is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether a value is a JSON object, or another mapping."""
    return isinstance(value, Mapping)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a value is a JSON array."""
    return isinstance(value, list)


def is_items(value: object) -> TypeGuard[Sequence[Any]]:
    """Tell whether a value is a sequence of things, which text is not."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def several(value: object) -> list[object] | None:
    """List the items of a list, a tuple or a set; None for anything else."""
    if is_items(value) or isinstance(value, set | frozenset):
        return list(cast("Iterable[object]", value))
    return None
