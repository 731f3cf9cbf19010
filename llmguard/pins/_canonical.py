"""One byte form per value, so that a hash means the same on every machine.

Keys are sorted, strings and keys are NFC, numbers follow RFC 8785 in the one point
that matters here: a float without a fraction is written as the integer it equals.
"""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, cast

from ..errors import ConfigError

__all__ = ["JSON", "canonical", "digest", "freeze", "thaw"]

# TOML has no null, hence neither has a lock.
JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON]"
"""What an entry of a lock may hold."""

_INT64: Final = 2**63
_EXACT: Final = 2.0**53


def freeze(value: object, *, at: str) -> JSON:
    """Return an immutable copy of a JSON value; mappings and lists included.

    Args:
        value: What a user or a file gave.
        at: Where it stands, for the error, such as ``params.stop``.

    Raises:
        ConfigError: A type that a lock cannot hold, or a number without a fixed form.
    """
    match value:
        case bool():
            return value
        case str():
            return _text(value, at)
        case int():
            return _integer(value, at)
        case float():
            return _float(value, at)
        case Mapping():
            pairs = cast("Mapping[object, object]", value).items()
            return MappingProxyType(
                {_key(k, at): freeze(v, at=f"{at}.{k}") for k, v in pairs}
            )
        case list() | tuple():
            items = cast("Sequence[object]", value)
            return tuple(freeze(v, at=f"{at}[{i}]") for i, v in enumerate(items))
        case None:
            raise ConfigError(f"`{at}` is None; TOML has no null, leave the key out")
        case _:
            raise ConfigError(
                f"`{at}` is {value!r}; a lock holds only text, numbers, true or "
                "false, lists and tables of these"
            )


def thaw(value: JSON) -> JSON:
    """Return a plain copy: dicts and lists instead of read-only ones."""
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [thaw(item) for item in value]
    return value


def canonical(value: JSON) -> bytes:
    """Return the one byte form of a frozen value."""
    text = json.dumps(
        _normal(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return text.encode()


def digest(value: JSON) -> str:
    """Return the SHA-256 of the canonical form, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _normal(value: JSON) -> JSON:
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if isinstance(value, Mapping):
        return {
            unicodedata.normalize("NFC", key): _normal(item)
            for key, item in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_normal(item) for item in value]
    return value


def _text(value: str, at: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"`{at}` is {value!r}, which is not valid text") from error
    return str(value)


def _key(key: object, at: str) -> str:
    if not isinstance(key, str) or not key:
        raise ConfigError(f"`{at}` has the key {key!r}; keys are text, not empty")
    return _text(key, at)


def _integer(value: int, at: str) -> int:
    if not -_INT64 <= value < _INT64:
        raise ConfigError(f"`{at}` is {value!r}, which does not fit in 64 bits")
    return int(value)


def _float(value: float, at: str) -> float:
    if not math.isfinite(value):
        raise ConfigError(f"`{at}` is {value!r}, which has no fixed written form")
    return float(value)
