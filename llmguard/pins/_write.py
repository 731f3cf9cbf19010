"""The one text form of a lock: sorted, hashed per entry, equal for equal locks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from .._version import __version__
from ._canonical import JSON, thaw
from ._lock import LOCK_VERSION, Lock

__all__ = ["to_text"]

_HEAD: Final = (
    "# Written by `llmguard pin`. Do not edit: every entry carries its hash.\n"
    "# Commit and review it; `llmguard pin check` fails the build when it is stale.\n"
)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\b": "\\b",
    "\f": "\\f",
}
_UNSAFE: Final = re.compile(r'["\\\x00-\x1f\x7f]')


def to_text(lock: Lock) -> str:
    """Return the text of `models.lock`; the same text for equal locks."""
    return "\n".join((_HEAD, *_blocks(lock)))


def _blocks(lock: Lock) -> Iterator[str]:
    yield _lines(
        {"lock_version": LOCK_VERSION, "created_by": f"llmguard {__version__}"}
    )
    for route in sorted(lock.routes.values(), key=lambda route: route.name):
        yield f"[routes.{_key(route.name)}]\n" + _lines(
            {
                "active": route.active,
                "allowed": sorted(route.allowed),
                "sha256": route.digest,
            }
        )
    for pin in sorted(lock.pins.values(), key=lambda pin: (pin.route, pin.id)):
        name = _key(f"{pin.route}/{pin.id}")
        yield f"[pins.{name}]\n" + _lines({**pin.entry(), "sha256": pin.digest})


def _lines(table: Mapping[str, JSON]) -> str:
    return "".join(f"{_key(key)} = {_value(item)}\n" for key, item in table.items())


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    return f'"{_UNSAFE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0], f"\\u{ord(match[0]):04x}")


def _value(value: JSON) -> str:
    """Write one value on one line; the types are those that `freeze` lets pass."""
    value = thaw(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, dict):
        pairs = (f"{_key(key)} = {_value(value[key])}" for key in sorted(value))
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
