"""What a contract works out from its arguments, once, and refuses when it is wrong."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, cast, get_args, get_origin

from ..errors import ConfigError
from ._check import Check
from ._parse import ParseMode
from ._refusal import is_refusal
from ._schema import Shape, alternatives, json_types
from ._show import show
from ._typed import TypedShape, show_type

__all__ = [
    "OWN_DETECTORS",
    "check_list",
    "is_exact",
    "make_shape",
    "name_of",
    "parse_mode",
    "refusal_detector",
    "starts_of",
]

_MODES: Final = ("raw", "fenced", "lenient", "text")


def make_shape(
    schema: object, *, strict: bool, schemas: Mapping[str, object] | None
) -> Shape:
    """Choose how values are read: by a type, or by a JSON Schema document."""
    if isinstance(schema, Mapping | bool):
        from ._jsonschema import SchemaShape  # its many patterns take 40 ms to compile

        return SchemaShape(cast("Mapping[str, object]", schema), documents=schemas)
    if schemas:
        raise ConfigError(
            "`schemas` goes with a JSON Schema dict; a type has no references to "
            "resolve. Remove it"
        )
    return TypedShape(schema, strict=strict)


def parse_mode(schema: Any, shape: Shape, parse: str | None) -> ParseMode:
    """Check the declared mode; `text` needs a value that can be a string."""
    bare = get_args(schema)[0] if get_origin(schema) is Annotated else schema
    is_str = isinstance(bare, type) and issubclass(bare, str)
    is_str = is_str and not issubclass(bare, enum.Enum)
    mode = parse if parse is not None else "text" if is_str else "raw"
    if mode not in _MODES:
        raise ConfigError(
            f"`parse` is {parse!r}; it must be one of {', '.join(map(repr, _MODES))}"
        )
    if mode == "text" and "string" not in _root_types(shape):
        raise ConfigError(
            "`parse='text'` takes the text itself as the value, and this schema allows "
            "no string; use 'raw', 'fenced' or 'lenient'"
        )
    return cast("ParseMode", mode)  # pyright: ignore[reportUnnecessaryCast] - mypy needs it


def _root_types(shape: Shape) -> frozenset[str]:
    return json_types(list(alternatives(shape.schema, shape.schema)))


def is_exact(shape: Shape) -> bool:
    """Tell free text, kept to the letter, from a choice, where blanks do not count."""
    return not any(
        isinstance(each, Mapping) and {"enum", "const"} & each.keys()
        for each in alternatives(shape.schema, shape.schema)
    )


def starts_of(shape: Shape) -> str:
    """Return the characters that the JSON of a value in prose may start with."""
    wanted = {"{": "object", "[": "array"}
    types = _root_types(shape)
    return "".join(mark for mark, name in wanted.items() if name in types)


def name_of(schema: object, shape: Shape) -> str:
    """Name a contract after its type or the title of its schema."""
    if isinstance(schema, type):
        return schema.__name__
    described = cast("Mapping[str, object]", shape.schema or {})
    title = described.get("title") if isinstance(shape.schema, Mapping) else None
    if isinstance(title, str) and title:
        return title
    return (
        "JSON" if isinstance(schema, Mapping | bool) else show_type(schema).strip("`")
    )


def check_list(
    checks: Iterable[Check | Callable[..., object]],
) -> list[Check | Callable[..., object]]:
    """Take several checks; one that stands alone is a mistake to point out."""
    if isinstance(checks, Check) or callable(checks) or isinstance(checks, str):
        raise ConfigError(f"`checks` is a list; write `checks=[{_called(checks)}]`")
    return list(checks)


def _called(each: Any) -> str:
    return str(getattr(each, "name", getattr(each, "__name__", show(each))))


def refusal_detector(
    refusal: object,
) -> Callable[[str], bool]:
    """Return the function that recognises a refusal by its words."""
    if callable(refusal):
        return cast("Callable[[str], bool]", refusal)
    if not isinstance(refusal, bool):
        raise ConfigError(
            f"`refusal` is {refusal!r}; it must be True, False, or a function of the "
            "text that returns True for a refusal"
        )
    return is_refusal if refusal else _never


def _never(text: str) -> bool:
    del text
    return False


OWN_DETECTORS: Final = (is_refusal, _never)
"""Detectors of refusals that come with the library."""
