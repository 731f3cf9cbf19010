"""Pins name the exact model versions that may run, in a reviewed `models.lock`."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ._cache import forget, load_lock, resolve
from ._canonical import JSON
from ._lock import Lock, Route
from ._pin import FingerprintPolicy, Pin, VersionClass
from ._read import read_lock
from ._rules import ProbeRules, RouteRules, Slice, rules_of

if TYPE_CHECKING:
    from ._about import evidence_about
    from ._check import Finding, check
    from ._files import content_hash, edit_lock, hash_option, sha256_file
    from ._lifecycle import HORIZON, ending, shutdown_of
    from ._listed import Looked, look_up, need_some, with_ends
    from ._naming import Classification, Shutdown, classify, naming, shutdown
    from ._prepare import prepare, refresh
    from ._write import to_text

__all__ = [
    "HORIZON",
    "JSON",
    "Classification",
    "Finding",
    "FingerprintPolicy",
    "Lock",
    "Looked",
    "Pin",
    "ProbeRules",
    "Route",
    "RouteRules",
    "Shutdown",
    "Slice",
    "VersionClass",
    "check",
    "classify",
    "content_hash",
    "edit_lock",
    "ending",
    "evidence_about",
    "forget",
    "hash_option",
    "load_lock",
    "look_up",
    "naming",
    "need_some",
    "prepare",
    "read_lock",
    "refresh",
    "resolve",
    "rules_of",
    "sha256_file",
    "shutdown",
    "shutdown_of",
    "to_text",
    "with_ends",
]

# What only commands and checks need is imported when it is used: a service resolves.
_LAZY: Final = MappingProxyType(
    {
        "_about": ("evidence_about",),
        "_check": ("Finding", "check"),
        "_files": ("content_hash", "edit_lock", "hash_option", "sha256_file"),
        "_lifecycle": ("HORIZON", "ending", "shutdown_of"),
        "_listed": ("Looked", "look_up", "need_some", "with_ends"),
        "_prepare": ("prepare", "refresh"),
        "_write": ("to_text",),
        "_naming": ("Classification", "Shutdown", "classify", "naming", "shutdown"),
    }
)


def __getattr__(name: str) -> object:
    for module, names in _LAZY.items():
        if name in names:
            found: object = getattr(import_module(f".{module}", __name__), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
