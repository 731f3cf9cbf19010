"""What every built-in check shares: its digest, and refusing wrong arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from ...errors import ConfigError
from .._check import Check
from .._digest import canonical, source_digest
from .._kinds import is_items

__all__ = ["STRINGS", "as_text", "build", "optional", "wrong"]

STRINGS = frozenset({"string"})


def build(
    name: str,
    function: Callable[..., object],
    *,
    field: str,
    options: Mapping[str, object],
    types: frozenset[str] = frozenset(),
    inputs: Iterable[str] = (),
    version: int = 1,
) -> Check:
    """Make a built-in check; its options and version stand for it in the digest."""
    shown = {key: _option(value) for key, value in options.items() if value is not None}
    return Check(
        name=name,
        function=function,
        field=field,
        version=f"builtin/{version} {canonical(shown)}",
        types=types,
        inputs=tuple(inputs),
    )


def _option(value: Any) -> object:
    if is_items(value):
        return [_option(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return source_digest(value) if callable(value) else str(value)


def wrong(name: str, problem: str) -> NoReturn:
    """Refuse the arguments of a built-in check."""
    raise ConfigError(f"`check.{name}`: {problem}")


def optional(name: str, module: str, package: str, extra: str) -> NoReturn:
    """Refuse a check whose optional package is not installed here."""
    wrong(
        name,
        f"the module {module!r} is not installed; run `pip install {package}`"
        + (f" or `pip install 'llmguard-toolkit[{extra}]'`" if extra else ""),
    )


def as_text(value: object) -> str:
    """Read the text of a value; an enum member stands for its own value.

    Raises:
        TypeError: The value is not text.
    """
    value = getattr(value, "value", value) if not isinstance(value, str) else value
    if not isinstance(value, str):
        raise TypeError(f"needs text, not {type(value).__name__}")
    return str.__str__(value)
