r"""Regular expressions as JSON Schema means them: ECMA-262, written for Python's `re`.

The dialects differ where it hurts: in Python `$` lets a line break pass and `\d` takes
the digits of every script. What Python has no words for, such as `\p{L}`, is left as it
is and refused when the schema is checked.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Final, cast

__all__ = ["ORIGINAL", "python_regex", "translated"]

_SPACE: Final = r"\s\xa0\ufeff\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PIECE: Final = re.compile(
    r"\\c[A-Za-z]|\\k<\w+>|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\.|\(\?<(?![=!])|\[\^?\]|[\[\]$]|[^\\(\[\]$]+|.",
    re.DOTALL,
)
_DOUBLED: Final = re.compile(r"[&~|](?=[&~|])")
"""Python warns of these in a class: it may give them a meaning."""
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_NAMED: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "properties"}
)
"""Keywords whose members are named by the author, not by JSON Schema."""
ORIGINAL: Final = "x-ecma-pattern"
"""Where a translated schema keeps a `pattern` as its author wrote it."""


def python_regex(pattern: str) -> str:
    """Write an ECMA-262 regular expression for Python."""
    out, inside = "", False
    for piece in _PIECE.findall(pattern):
        if piece == "[" and not inside:
            inside = True
            out += piece
            continue
        if inside and piece in {"[]", "[^]"}:  # a bare one, and the end of the class
            inside = False
            out += f"\\{piece}"
            continue
        inside = inside and piece != "]"
        out += _in_class(piece) if inside else _outside(piece)
    # Scoped, so that it holds wherever the pattern is used: \d and \w mean ASCII.
    return (
        out if out == pattern and out.isascii() and "\\" not in out else f"(?a:{out})"
    )


def _in_class(piece: str) -> str:
    if piece == r"\s":
        return _SPACE
    if piece == "[":  # Python keeps a bare one for sets of its own
        return r"\["
    return _shared(_DOUBLED.sub(r"\\\g<0>", piece))


def _outside(piece: str) -> str:
    fixed = {
        "$": r"\Z",
        r"\s": f"[{_SPACE}]",
        r"\S": f"[^{_SPACE}]",
        "(?<": "(?P<",
        "[]": "(?!)",
        "[^]": r"[\s\S]",
    }
    if piece.startswith(r"\k<"):
        return f"(?P={piece[3:-1]})"
    return fixed.get(piece) or _shared(piece)


def _shared(piece: str) -> str:
    if piece.startswith(r"\c") and len(piece) == len(r"\cA"):
        return f"\\x{ord(piece[2]) % 32:02x}"
    if piece.startswith(r"\u") and len(piece) > len(r"\u"):
        pair = bytes.fromhex(piece[2:6] + piece[8:12]).decode("utf-16-be")
        return f"\\U{ord(pair):08x}"
    return piece


def translated(schema: object) -> object:
    """Copy a schema as jsonschema reads it best, its meaning unchanged."""
    if isinstance(schema, list):
        return [_member(item) for item in cast("list[object]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, object] = {}
    for key, value in cast("Mapping[str, object]", schema).items():
        if key == "pattern" and isinstance(value, str):
            made[key] = python_regex(value)
            made[ORIGINAL] = value
        elif key == "patternProperties" and isinstance(value, Mapping):
            rules = cast("Mapping[str, object]", value)
            made[key] = {python_regex(k): _member(v) for k, v in rules.items()}
        elif key in _NAMED and isinstance(value, Mapping):
            named = cast("Mapping[str, object]", value)
            made[key] = {name: _member(each) for name, each in named.items()}
        else:
            made[key] = copy.deepcopy(value) if key in _DATA else translated(value)
    return made


def _member(schema: object) -> object:
    """Write `false` so that jsonschema's error says where the value stood."""
    return {"not": {}} if schema is False else translated(schema)
