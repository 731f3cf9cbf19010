"""The `[[assert]]` tables of a suite's file: each is one call of a builder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from ..errors import ConfigError
from . import expect
from ._assertion import Assertion
from ._load import load_attribute
from ._near import did_you_mean, quoted

__all__ = ["read_assertions"]

_IMPORTED: Final = frozenset({"function", "compare", "detector"})
"""Keys whose value is imported, as `module:name`."""
_FILES: Final = frozenset({"calibration", "memo"})
_BUILDERS: Final[Mapping[str, Callable[..., Assertion]]] = {
    name: getattr(expect, name) for name in expect.BUILDERS
}


def read_assertions(
    tables: object, base: Path, where: str
) -> tuple[Assertion, ...] | None:
    """Build the assertions of a file.

    Args:
        tables: What stands at `assert`.
        base: Where relative files start.
        where: Names the file in errors.

    Returns:
        The assertions in order; None when the file has none.

    Raises:
        ConfigError: A table is wrong.
    """
    if not isinstance(tables, list):
        raise ConfigError(f"{where}: head each assertion with `[[assert]]`")
    made: dict[str, Assertion] = {}
    for number, table in enumerate(cast("list[object]", tables), 1):
        here = f"{where}: assert {number}"
        each = _assertion(table, _Place(here=here, base=base, made=made))
        if each.name in made:
            raise ConfigError(
                f"{here}: another assertion is called {each.name!r} already; give "
                "this one a `name`"
            )
        made[each.name] = each
    return tuple(made.values()) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a table stands: for errors, relative files and assertions above it."""

    here: str
    base: Path
    made: Mapping[str, Assertion] = field(default_factory=dict[str, Assertion])


def _assertion(table: object, place: _Place) -> Assertion:
    document = cast("dict[str, Any]", table) if isinstance(table, dict) else {}
    kind = document.get("expect")
    if not isinstance(kind, str):
        raise ConfigError(
            f"{place.here}: say what is expected, such as `expect = 'schema'`; there "
            f"are {quoted(_BUILDERS)}"
        )
    if kind not in _BUILDERS:
        raise ConfigError(
            f"{place.here}: unknown `expect` {kind!r}; {did_you_mean(kind, _BUILDERS)}"
        )
    given = {key: value for key, value in document.items() if key != "expect"}
    args, options = _arguments(_BUILDERS[kind], given, place)
    try:
        return _BUILDERS[kind](*args, **options)
    except (TypeError, ValueError) as error:  # ConfigError is a ValueError
        raise ConfigError(f"{place.here} (`{kind}`): {error}") from error


def _arguments(
    builder: Callable[..., Assertion], given: Mapping[str, Any], place: _Place
) -> tuple[list[Any], dict[str, Any]]:
    """Turn a table's keys into the arguments of a builder."""
    parameters = inspect.signature(builder).parameters.values()
    own = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    known = [*dict.fromkeys([_key(p) for p in own] + [*expect.Options.__annotations__])]
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{place.here}: unknown key `{key}`; {did_you_mean(key, known)}"
            )
    for parameter in own:
        if parameter.default is parameter.empty and _key(parameter) not in given:
            raise ConfigError(f"{place.here} needs `{_key(parameter)}`")
    values = {key: _value(key, value, place) for key, value in given.items()}
    first = [_key(p) for p in own if p.kind is p.POSITIONAL_ONLY]
    args = [values.pop(key) for key in first if key in values]
    return args, values


def _key(parameter: inspect.Parameter) -> str:
    """Return what a file calls a parameter."""
    name = parameter.name
    return "function" if name in {"given", "judge"} else name


def _value(key: str, value: Any, place: _Place) -> Any:
    if key == "of":
        if value not in place.made:
            raise ConfigError(
                f"{place.here}: `of` names an assertion above it; "
                f"{did_you_mean(str(value), place.made)}"
            )
        return place.made[value]
    if key == "detector" and isinstance(value, str) and ":" not in value:
        return value
    if key in _IMPORTED:
        if not isinstance(value, str):
            raise ConfigError(
                f"{place.here}: `{key}` is {value!r}; write `module:name`"
            )
        return load_attribute(value, base=place.base, where=place.here)
    if key in _FILES and isinstance(value, str):
        return place.base / value
    return value
