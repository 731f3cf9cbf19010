"""Pins name the exact model versions that may run, in a reviewed `models.lock`."""

from __future__ import annotations

from ._cache import forget, load_lock, resolve
from ._lock import Lock, Route
from ._pin import Pin, VersionClass
from ._read import read_lock
from ._write import to_text

__all__ = [
    "Lock",
    "Pin",
    "Route",
    "VersionClass",
    "forget",
    "load_lock",
    "read_lock",
    "resolve",
    "to_text",
]
