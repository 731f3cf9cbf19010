"""Frozen records at the price of plain ones, for the path that every call takes."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
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
        What makes instances of `cls` itself; only good for calling, by name.
    """
    kinds: Any = cls
    known: tuple[Field[Any], ...] = fields(kinds)
    twin = type(cls.__name__, (), {"__slots__": tuple(each.name for each in known)})
    names: dict[str, Any] = {"_twin": twin, "_cls": cls, "_missing": MISSING}
    given, body = ["*"], ["self = _twin()"]
    for each in known:
        name = each.name
        given.append(name)
        body.append(f"self.{name} = {name}")
        if each.default is not MISSING:
            names[f"_{name}"] = each.default
            given[-1] = f"{name}=_{name}"
        elif each.default_factory is not MISSING:
            names[f"_{name}"] = each.default_factory
            given[-1] = f"{name}=_missing"
            body[-1] = f"self.{name} = _{name}() if {name} is _missing else {name}"
    body += ["self.__class__ = _cls", "return self"]  # the same slots, so it may
    lines = "".join(f"    {line}\n" for line in body)
    exec(f"def {cls.__name__}({', '.join(given)}):\n{lines}", names)  # noqa: S102 - made of field names, as `dataclass` does
    return cast("type[T]", names[cls.__name__])
