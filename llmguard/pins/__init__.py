"""Pins name the exact model versions that may run, in a reviewed `models.lock`."""

from __future__ import annotations

from ._cache import forget, load_lock, resolve
from ._canonical import JSON
from ._check import HORIZON, Finding, check, ending, shutdown_of
from ._files import content_hash, edit_lock, hash_option, sha256_file
from ._lock import Lock, Route
from ._pin import FingerprintPolicy, Pin, VersionClass
from ._prepare import prepare, refresh
from ._read import read_lock
from ._write import to_text
from .naming import Classification, Shutdown, classify, naming, shutdown

__all__ = [
    "HORIZON",
    "JSON",
    "Classification",
    "Finding",
    "FingerprintPolicy",
    "Lock",
    "Pin",
    "Route",
    "Shutdown",
    "VersionClass",
    "check",
    "classify",
    "content_hash",
    "edit_lock",
    "ending",
    "forget",
    "hash_option",
    "load_lock",
    "naming",
    "prepare",
    "read_lock",
    "refresh",
    "resolve",
    "sha256_file",
    "shutdown",
    "shutdown_of",
    "to_text",
]
