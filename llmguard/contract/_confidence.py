"""Where the confidence of an answer comes from: a field of it, or a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from ..errors import ConfigError
from ..outcome import Violation
from ._check import bind, check
from ._fields import pick
from ._pointer import split_field
from ._schema import Shape, find_field, json_types
from ._show import show

__all__ = ["Confidence", "Source", "confidence_source"]

Confidence = str | Callable[..., float]
Source = Callable[
    [object, Mapping[str, object]], tuple[float | None, tuple[Violation, ...]]
]


def confidence_source(given: object, shape: Shape) -> Source | None:
    """Check where the confidence comes from.

    Raises:
        ConfigError: The field does not exist or is no number; the function is async.
    """
    if given is None:
        return None
    if isinstance(given, str):
        return _from_field(given, shape)
    if not callable(given):
        raise ConfigError(
            f"`confidence` is {given!r}; it must be the name of a field, or a function "
            "of the value that returns a number from 0 to 1"
        )
    return _from_function(given, shape)


def _from_field(field: str, shape: Shape) -> Source:
    types = json_types(find_field(field, shape))
    if "integer" not in types or "*" in split_field(field):
        raise ConfigError(f"`confidence={field!r}` must name one field with a number")
    parts = split_field(field)

    def read(
        value: object, inputs: Mapping[str, object]
    ) -> tuple[float | None, tuple[Violation, ...]]:
        del inputs
        for path, number in pick(value, parts):
            if number is None:
                continue
            if _is_share(number):
                return float(cast("float", number)), ()
            message = f"must be a number from 0 to 1; the answer has {show(number)}"
            return None, (Violation(path=path, message=message, check="confidence"),)
        return None, ()

    return read


def _from_function(function: Callable[..., object], shape: Shape) -> Source:
    bound = bind(check(name="confidence")(function), shape)

    def call(
        value: object, inputs: Mapping[str, object]
    ) -> tuple[float | None, tuple[Violation, ...]]:
        number = function(value, inputs) if bound.with_inputs else function(value)
        if number is None:
            return None, ()
        if not _is_share(number):
            raise ValueError(
                f"the `confidence` function returned {number!r}; it must return a "
                "number from 0 to 1, or None"
            )
        return float(cast("float", number)), ()

    return call


def _is_share(number: object) -> bool:
    is_number = hasattr(number, "__float__") and not isinstance(number, bool | str)
    return is_number and 0 <= float(cast("float", number)) <= 1
