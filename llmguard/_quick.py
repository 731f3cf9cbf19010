"""Frozen records at the price of plain ones, for the path that every call takes."""

from __future__ import annotations

from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Any, TypeVar, cast

__all__ = ["quick"]

T = TypeVar("T")


def quick(cls: type[T]) -> type[T]:
    """Return a constructor of a frozen, slotted dataclass that is not slow.

    A frozen dataclass fills itself field by field through `object.__setattr__`, which
    takes about six times as long as plain assignment. This one fills a twin of the
    same slots that is not frozen, and then makes it one of `cls`.

    Args:
        cls: A dataclass with `frozen=True, slots=True` and no `__post_init__`.

    Returns:
        What makes instances of `cls` itself; only good for calling.
    """

    def freeze(self: object) -> None:
        self.__class__ = cls  # the same slots, so it may

    kinds: Any = cls
    twin = make_dataclass(
        cls.__name__,
        [(each.name, object, _again(each)) for each in fields(kinds)],
        namespace={"__post_init__": freeze},
        eq=False,
        repr=False,
        kw_only=True,
        slots=True,
    )
    return cast("type[T]", twin)


def _again(each: Field[Any]) -> Any:
    if each.default_factory is not MISSING:
        return field(default_factory=each.default_factory)
    return field() if each.default is MISSING else field(default=each.default)
