"""What a browser's form can carry: names, lines of text, numbers and JSON, exactly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Final, cast

__all__ = [
    "dump",
    "escape_name",
    "is_plain",
    "load",
    "same",
    "to_number",
    "to_text",
    "to_wire",
]

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_\-]")
_LOST: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_LONGEST_NUMBER: Final = 400
_MOST_DIGITS: Final = 4_000
_DEEPEST: Final = 200


def escape_name(part: str) -> str:
    """Write a member's name so that any post brings it back and none clash."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):x}.", part)


def is_plain(text: str) -> bool:
    """Say whether a text control gives `text` back as it was.

    Browsers turn every kind of line end into one, drop NUL and lone surrogates; other
    control characters survive, but nobody who reads the page would see them.
    """
    return _LOST.search(text) is None


def to_wire(text: str) -> str:
    """Return `text` as a browser posts it: lines end in CR LF."""
    return text.replace("\n", "\r\n")


def to_text(wire: str) -> str:
    """Return what was posted with lines as they were.

    Raises:
        ValueError: It holds characters that no text control posts.
    """
    text = wire.replace("\r\n", "\n")
    found = _LOST.search(text)
    if found:
        raise ValueError(
            f"has the control character U+{ord(found[0]):04X}; write it in JSON"
        )
    return text


def to_number(text: str) -> int | float:
    """Read a number as JSON writes it.

    Raises:
        ValueError: It is no number, or no double has exactly this value.
    """
    text = text.strip(" \t\r\n")
    if len(text) > _LONGEST_NUMBER:
        raise ValueError(f"has {len(text)} characters; at most {_LONGEST_NUMBER}")
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a number such as 12 or -0.5, not {text[:40]!r}")
    value: int | float = json.loads(text, parse_float=_exact)
    return value


def _exact(text: str) -> float:
    """Return the double of a decimal, unless its shortest form is another number."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    if not _is(text, value):
        raise ValueError(
            f"{text[:40]} cannot be kept exactly; the nearest number is {value!r}"
        )
    return value


def _is(text: str, value: float) -> bool:
    try:
        return Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # an exponent beyond those of decimals
        return False


def _whole(text: str) -> int:
    """Return an integer that Python, and most other readers, can hold."""
    if len(text) > _MOST_DIGITS:
        raise ValueError(
            f"has a number of {len(text)} digits; at most {_MOST_DIGITS:,}"
        )
    return int(text)


def load(text: str) -> object:
    """Read JSON strictly: no NaN, no member twice, no digit lost.

    Raises:
        ValueError: It is not such JSON.
    """
    try:
        value: object = json.loads(
            text,
            parse_float=_exact,
            parse_int=_whole,
            parse_constant=_refuse,
            object_pairs_hook=_members,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"is no JSON: {error.msg} ({place})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    _check_depth(value)
    return value


def _check_depth(value: object) -> None:
    """Refuse what neither a person nor a recursive validator can follow."""
    level: list[object] = [value]
    for _ in range(_DEEPEST):
        inner: list[object] = []
        for part in level:
            if isinstance(part, dict):
                inner.extend(cast("dict[str, object]", part).values())
            elif isinstance(part, list):
                inner.extend(cast("list[object]", part))
        if not inner:
            return
        level = inner
    raise ValueError(f"is nested too deeply: more than {_DEEPEST} levels")


def _refuse(name: str) -> object:
    raise ValueError(f"is no JSON: {name} is no number")


def _members(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"has the member {name[:40]!r} twice")
        found[name] = value
    return found


def dump(value: object) -> str:
    """Write JSON as a person reads it and as a browser posts it.

    Raises:
        ValueError: It is no JSON value.
    """
    try:
        _check_depth(value)
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        if not is_plain(text):
            text = json.dumps(value, indent=2, allow_nan=False)
        back = load(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from None
    if not same(back, value):
        raise ValueError("cannot be written as JSON: it reads back as another value")
    return to_wire(text)


def same(one: object, other: object) -> bool:
    """Compare JSON values exactly: 1, 1.0 and true are three things."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        members = cast("dict[object, object]", one)
        others = cast("dict[object, object]", other)
        return members.keys() == others.keys() and all(
            same(part, others[name]) for name, part in members.items()
        )
    if isinstance(one, list):
        items, rest = cast("list[object]", one), cast("list[object]", other)
        return len(items) == len(rest) and all(map(same, items, rest))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)
