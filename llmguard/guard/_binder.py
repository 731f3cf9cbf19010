"""Names a call's arguments and puts the model among them, in about a microsecond."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["INJECTED", "MODEL", "Binder", "visible_signature"]

MODEL: Final = "model"
"""Name of the parameter that `@pinned` fills."""
_EMPTY: Final = inspect.Parameter.empty


class _Injected:
    """The default of `model` parameters, so that type checkers accept the call."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "INJECTED"


INJECTED: Any = _Injected()
"""Write `model: Model = INJECTED`: `@pinned` gives the real one at each call."""


def _evaluated(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature with real types where they can be had.

    Frameworks evaluate string annotations in the wrapper's module, where the user's
    names do not exist.
    """
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return inspect.signature(function)


def visible_signature(
    function: Callable[..., object], *, hide_model: bool
) -> inspect.Signature:
    """Return what callers and frameworks see: everything but `model`."""
    signature = _evaluated(function)
    if not hide_model:
        return signature
    shown = [p for p in signature.parameters.values() if p.name != MODEL]
    return signature.replace(parameters=shown)


class Binder:
    """Binds arguments to names as Python would, without `Signature.bind`'s cost."""

    __slots__ = (
        "_defaults",
        "_fast",
        "_known",
        "_model_at",
        "_names",
        "_plain",
        "_receiver",
        "_required",
        "_signature",
    )

    def __init__(self, function: Callable[..., object], *, has_model: bool) -> None:
        full = inspect.signature(function)
        self._model_at = self._find_model(full) if has_model else None
        shown = [
            p for p in full.parameters.values() if not (has_model and p.name == MODEL)
        ]
        self._signature = full.replace(parameters=shown)
        self._fast = all(
            p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY} for p in shown
        )
        self._names = [p.name for p in shown if p.kind is p.POSITIONAL_OR_KEYWORD]
        self._defaults = {p.name: p.default for p in shown if p.default is not _EMPTY}
        self._required = frozenset(p.name for p in shown if p.default is _EMPTY)
        self._known = len(self._required | self._defaults.keys())
        # All by place, nothing by default: most calls, and the least work.
        self._plain = self._fast and len(self._required) == len(self._names)
        self._plain = self._plain and not self._defaults
        self._receiver = next((n for n in self._names[:1] if n in {"self", "cls"}), "")

    @staticmethod
    def _find_model(signature: inspect.Signature) -> int | None:
        """Return the place of a positional `model`; None for a keyword-only one."""
        for place, parameter in enumerate(signature.parameters.values()):
            if parameter.name == MODEL:
                return None if parameter.kind is parameter.KEYWORD_ONLY else place
        return None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, object]:
        """Return the arguments by name, defaults applied, `self` and `cls` left out.

        Raises:
            TypeError: They do not fit, in Python's own words.
        """
        if self._plain and not kwargs and len(args) == len(self._names):
            bound: dict[str, object] | None = dict(zip(self._names, args, strict=True))
        else:
            bound = self._bind_fast(args, kwargs) if self._fast else None
        if bound is None:
            full = self._signature.bind(*args, **kwargs)
            full.apply_defaults()
            bound = dict(full.arguments)
        if self._receiver:
            bound.pop(self._receiver, None)
        return bound

    def _bind_fast(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, object] | None:
        """Bind plain arguments; None leaves the odd case to `Signature.bind`."""
        if len(args) > len(self._names):
            return None
        bound: dict[str, object] = {**self._defaults}
        given = self._names[: len(args)]
        bound.update(zip(given, args, strict=True))
        bound.update(kwargs)
        if len(bound) != self._known or not self._required <= bound.keys():
            return None
        return None if any(name in kwargs for name in given) else bound

    @property
    def nameless(self) -> bool:
        """True when some arguments have no name, so that names alone make no call."""
        return not self._fast

    def spread(self, inputs: Mapping[str, object]) -> tuple[list[Any], dict[str, Any]]:
        """Return named inputs as the arguments of a call: the reverse of `bind`."""
        named: dict[str, Any] = dict(inputs)
        first: list[Any] = []
        rest: tuple[Any, ...] = ()
        extra: dict[str, Any] = {}
        shown = self._signature.parameters.values()
        for one in shown:
            if one.kind is one.VAR_POSITIONAL:
                rest = named.pop(one.name, ())
            elif one.kind is one.VAR_KEYWORD:
                extra = named.pop(one.name, {})
        for one in shown:
            by_place = one.kind is one.POSITIONAL_ONLY or (
                rest and one.kind is one.POSITIONAL_OR_KEYWORD
            )
            if by_place and one.name in named:
                first.append(named.pop(one.name))
        return [*first, *rest], named | extra

    def with_model(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], model: object
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with the model in its place."""
        place = self._model_at
        if place is None or len(args) < place:
            return args, {**kwargs, MODEL: model}
        return (*args[:place], model, *args[place:]), kwargs
