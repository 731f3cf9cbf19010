"""Any Python value as JSON that a person can read and a store can keep."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import json
import math
import pathlib
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

__all__ = ["jsonable", "stable_text"]

_DEEPEST = 32
_REPR = 2000
_BYTES = 64 * 1024
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")

_Lose = Callable[[object], None]
_Inner = Callable[[object], object]
_Write = Callable[[Any, _Inner], object]


def jsonable(value: object) -> tuple[object, bool]:
    """Return `value` as JSON, and whether nothing of it was lost.

    Pydantic models, dataclasses, enums, dates, decimals, paths, UUIDs, bytes, sets
    and mappings are written in their usual form. Anything else becomes
    ``{"__repr__": ..., "__type__": ...}``, and the second result is False.
    """
    lost: list[object] = []
    plain = _plain(value, 0, lost.append)
    return plain, not lost


def stable_text(plain: object) -> str:
    """Return text for a fingerprint: memory addresses in `repr`s do not count."""
    return _ADDRESS.sub("at 0x", json.dumps(plain, sort_keys=True))


def _plain(value: object, depth: int, lose: _Lose) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return _scalar(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"__float__": str(value)}
    if depth > _DEEPEST:
        return _shown(value, lose)
    try:
        return _composite(value, depth + 1, lose)
    except Exception:  # noqa: BLE001 - a user's class may fail in any way; it is shown
        return _shown(value, lose)


def _scalar(value: object) -> object:
    """Strip subclasses such as `IntEnum` members and `SecretStr`-like strings."""
    if isinstance(value, enum.Enum):
        return _scalar(value.value)
    for kind in (str, bool, int):
        if isinstance(value, kind):
            return kind(value)
    return value


def _composite(value: object, depth: int, lose: _Lose) -> object:
    if isinstance(value, type):
        return _shown(value, lose)
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value, lambda part: _plain(part, depth, lose))
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: _plain(getattr(value, name), depth, lose) for name in names}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return _plain(dump(mode="json"), depth, lose)
    return _shown(value, lose)


def _mapping(value: Mapping[object, object], inner: _Inner) -> object:
    return {_name(key): inner(part) for key, part in value.items()}


def _set(value: Iterable[object], inner: _Inner) -> object:
    parts = [inner(part) for part in value]
    return sorted(parts, key=lambda part: json.dumps(part, sort_keys=True))


def _name(key: object) -> str:
    return key if isinstance(key, str) else str(_scalar(key))


def _binary(value: bytes | bytearray, _: _Inner) -> object:
    data = bytes(value)
    if len(data) <= _BYTES:
        return {"__bytes__": base64.b64encode(data).decode("ascii")}
    digest = hashlib.sha256(data).hexdigest()
    return {"__bytes__": f"sha256:{digest}", "size": len(data)}


# How each kind is written, first match first; `date` covers `datetime`.
_WRITERS: Final[tuple[tuple[tuple[type, ...], _Write], ...]] = (
    ((enum.Enum,), lambda value, inner: inner(value.value)),
    ((decimal.Decimal, uuid.UUID, pathlib.PurePath), lambda value, _: str(value)),
    ((dt.date, dt.time), lambda value, _: value.isoformat()),
    ((dt.timedelta,), lambda value, _: value.total_seconds()),
    ((bytes, bytearray), _binary),
    ((Mapping,), _mapping),
    ((AbstractSet,), _set),
    ((list, tuple), lambda value, inner: [inner(part) for part in value]),
)


def _shown(value: object, lose: _Lose) -> object:
    lose(value)
    kind = type(value)
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's `__repr__` may fail in any way
        text = f"<repr failed: {type(error).__name__}>"
    return {"__repr__": text[:_REPR], "__type__": f"{kind.__module__}.{kind.__name__}"}
