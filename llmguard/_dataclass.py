"""`dataclass`, made in a third of the time, for a package that is imported often.

The standard decorator compiles six methods for each frozen class, about a millisecond
of every program's start. Here `__init__` alone is compiled, when it is first looked at,
which for most classes is never; the others are one function each, shared by all
classes, which looks the fields up when it is called. What they do is the same: a test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from dataclasses import dataclass as _standard
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    # Checkers know what this decorator does by its name alone.
    from dataclasses import dataclass
else:

    def dataclass(
        cls: type[Any] | None = None,
        /,
        *,
        eq: bool = True,
        frozen: bool = False,
        **options: Any,
    ) -> Any:
        """Do as `dataclasses.dataclass` does; no `order`, no `unsafe_hash`."""
        if cls is None:
            return lambda cls: dataclass(cls, eq=eq, frozen=frozen, **options)
        own = cls.__dict__.keys()
        made = _standard(cls, init=False, repr=False, eq=False, **options)
        made.__init__ = _Later(made, frozen=frozen)
        shared = {"__repr__": _repr}
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash_of if frozen else None}
        if frozen:
            shared |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        if frozen and options.get("slots"):
            shared |= {"__getstate__": _getstate, "__setstate__": _setstate}
        for name, method in shared.items():
            if name not in own or (name == "__hash__" and cls.__hash__ is None):
                setattr(made, name, method)
        about = made.__dataclass_params__
        about.init = about.repr = True
        about.eq, about.frozen = eq, frozen
        return made


class _Later:
    """Stands in for `__init__` until somebody asks for it: a call, a signature."""

    def __init__(self, cls: type[Any], *, frozen: bool) -> None:
        self._cls = cls
        self._frozen = frozen

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        made: Any = _initialiser(self._cls, frozen=self._frozen)
        self._cls.__init__ = made
        return made.__get__(instance, owner)


def _initialiser(cls: type[Any], *, frozen: bool) -> Callable[..., None]:
    """Compile the one method that every class needs of its own."""
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    known = sorted(fields(cls), key=lambda each: bool(each.kw_only))
    given = ["self"]
    body: list[str] = []
    for each in known:
        if each.init and each.kw_only and "*" not in given:
            given.append("*")
        value = _value(each, given, names)
        name = each.name
        line = f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}"
        body.append(line)
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = "".join(f"    {line}\n" for line in body or ["pass"])
    exec(f"def __init__({', '.join(given)}):\n{lines}", names)  # noqa: S102 - made of field names, as the standard one
    made: Callable[..., None] = names["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__module__ = cls.__module__
    made.__annotations__ = {each.name: each.type for each in known if each.init}
    made.__annotations__["return"] = None
    return made


def _value(each: Field[Any], given: list[str], names: dict[str, Any]) -> str:
    """Add a field to the parameters; return the expression that it is filled with."""
    name, default = each.name, f"_default_{each.name}"
    if each.default_factory is not MISSING:
        names[default] = each.default_factory
        if not each.init:
            return f"{default}()"
        given.append(f"{name}=_missing")
        return f"{default}() if {name} is _missing else {name}"
    if each.default is not MISSING:
        names[default] = each.default
        if not each.init:
            return default
        given.append(f"{name}={default}")
        return name
    given.append(name)
    return name


def _compared(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, each.name) for each in fields(self) if each.compare)


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _eq(self: Any, other: object) -> object:
    if self.__class__ is not other.__class__:
        return NotImplemented  # Python asks the other side
    return _compared(self) == _compared(other)


def _hash_of(self: Any) -> int:  # pyright: ignore[reportUnusedFunction] - used above, which checkers skip
    return hash(_compared(self))


def _is_fixed(self: Any, name: str) -> bool:
    """Tell whether a frozen class says so, or a subclass with more attributes."""
    own: type[object] = self.__class__
    return "__dataclass_fields__" in own.__dict__ or name in self.__dataclass_fields__


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    if _is_fixed(self, name):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    if _is_fixed(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)
