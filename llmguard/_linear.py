r"""Patterns of JSON Schemas in time that grows with the text, whatever the text is.

Python's `re` goes back and tries again: on hostile text a pattern such as `^(a+)+$`
takes longer than anybody waits, with the interpreter's lock held, so that no deadline
helps. Patterns that could do so run on the engine that pydantic brings, which never
goes back; what that cannot read (look-around, back-references) stays with `re`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, cast

__all__ = ["may_explode", "repeats_a_repeat", "searcher", "with_linear_patterns"]

_BOUND: Final = 100
"""Repeats up to this often count as bounded."""
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})
_KEPT: Final = frozenset({"POSSESSIVE_REPEAT", "ATOMIC_GROUP"})
_PIECE: Final = re.compile(r"\\.|\[\^?\]|[\[\]$]|[^\\\[\]$]+", re.DOTALL)
_SPACE: Final = r"\t-\r \xa0\ufeff\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_OUTSIDE: Final = {
    "$": r"\z",
    r"\s": f"[{_SPACE}]",
    r"\S": f"[^{_SPACE}]",
    r"\d": "[0-9]",
    r"\D": "[^0-9]",
    r"\w": "[0-9A-Za-z_]",
    r"\W": "[^0-9A-Za-z_]",
    r"\b": r"(?-u:\b)",
    r"\B": r"(?-u:\B)",
    "[]": r"[^\s\S]",
    "[^]": r"[\s\S]",
}
_INSIDE: Final = {
    "[": r"\[",
    r"\s": _SPACE,
    r"\S": f"[^{_SPACE}]",
    "$": r"\$",
    r"\d": "0-9",
    r"\D": "[^0-9]",
    r"\w": "0-9A-Za-z_",
    r"\W": "[^0-9A-Za-z_]",
    r"\b": r"\x08",
}


def may_explode(pattern: str) -> bool:
    """Tell whether a repeat holds another one, or a choice, that it could split anew.

    Args:
        pattern: In Python's syntax; what Python cannot read may not.
    """
    try:
        return _nested(_parsed(pattern), within=False, choices=True)
    except (re.error, RecursionError, OverflowError):
        return False


def repeats_a_repeat(pattern: str) -> bool:
    """Tell whether an open-ended repeat holds another one; a choice is no repeat."""
    return _nested(_parsed(pattern), within=False, choices=False)


def _parsed(pattern: str) -> Any:
    # The parser is private, but the only reader of patterns that is always right.
    parser: Any = import_module("re._parser")
    return parser.parse(pattern)


def _nested(items: Any, *, within: bool, choices: bool) -> bool:
    """Walk a parsed pattern; `within` tells that an open repeat is around it."""
    for operator, argument in items:
        name = str(operator)
        if name in _REPEATS:
            _, most, body = argument
            open_ended = most > _BOUND
            inner = within or open_ended
            if within and (open_ended or choices):
                return True
            if _nested(body, within=inner, choices=choices):
                return True
            continue
        if choices and within and name == "BRANCH":
            return True
        # What a possessive repeat or an atomic group took is never given back, so
        # an outer repeat cannot split it in other ways.
        inner = within and name not in _KEPT
        for body in _bodies(argument):
            if _nested(body, within=inner, choices=choices):
                return True
    return False


def _bodies(argument: Any) -> Iterator[Any]:
    """Yield the patterns inside one node, whatever its shape."""
    if type(argument).__name__ == "SubPattern":
        yield argument
    elif isinstance(argument, (tuple, list)):
        for part in cast("list[Any]", argument):
            yield from _bodies(part)


@lru_cache(maxsize=1024)
def searcher(pattern: str, original: str) -> Callable[[str], bool]:
    """Return what tells whether a pattern is found in a text.

    Args:
        pattern: In Python's syntax.
        original: The same in ECMA-262's, as the schema's author wrote it.

    Raises:
        re.error: Python cannot read it.
    """
    compiled = re.compile(pattern)
    if may_explode(pattern):
        linear = _linear(original)
        if linear is not None:
            return linear
    return lambda text: compiled.search(text) is not None


def _linear(original: str) -> Callable[[str], bool] | None:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        found = SchemaValidator(
            core_schema.str_schema(
                strict=True, pattern=_written(original), regex_engine="rust-regex"
            )
        )
    except (SchemaError, _UnreadableError):
        return None
    return found.isinstance_python


class _UnreadableError(Exception):
    """The other engine would read the pattern otherwise."""


def _written(original: str) -> str:
    """Write an ECMA-262 pattern in the words of the other engine.

    Raises:
        _UnreadableError: There is no simple way to.
    """
    out, inside = "", False
    for piece in _PIECE.findall(original):
        if piece == "[" and not inside:
            inside = True
            out += piece
            continue
        if inside and piece in {"[]", "[^]"}:  # a bare one, and the end of the class
            inside = False
            out += f"\\{piece}"
            continue
        inside = inside and piece != "]"
        out += _in_class(piece) if inside else _OUTSIDE.get(piece, piece)
    return out


def _in_class(piece: str) -> str:
    """Write what stands in a class, where doubled signs combine sets over there."""
    if "--" in piece:
        raise _UnreadableError
    return _INSIDE.get(piece) or piece.replace("&", r"\&").replace("~", r"\~")


@lru_cache(maxsize=16)
def with_linear_patterns(factory: Any, original: str) -> Any:
    """Return a validator class of jsonschema whose `pattern` cannot explode.

    Args:
        factory: The class.
        original: Member of a schema that holds its `pattern` as it was written; what
            lacks it has the author's own in `pattern`.
    """
    from jsonschema import ValidationError

    extend: Any = import_module("jsonschema.validators").extend

    def pattern(
        validator: Any, regex: str, instance: object, schema: Any
    ) -> Iterator[Any]:
        if not validator.is_type(instance, "string"):
            return
        if not searcher(regex, schema.get(original, regex))(cast("str", instance)):
            yield ValidationError(f"{instance!r} does not match {regex!r}")

    return extend(factory, {"pattern": pattern})
