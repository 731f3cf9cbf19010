"""Fills in what a pin can know by itself, and refuses names that must not be pinned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ..errors import ConfigError
from ._files import content_hash, hash_option
from ._lock import Lock
from ._naming import Classification, Shutdown, classify, naming, shutdown
from ._pin import Pin

__all__ = ["prepare", "refresh"]


def prepare(pin: Pin, *, strict: bool = False, rehash: bool = False) -> Pin:
    """Return a pin that is ready for a lock: hashed, classified, with its known end.

    Args:
        pin: What a person declared.
        strict: Refuse names that no rule knows.
        rehash: Take the file's hash anew even when the pin has one.

    Raises:
        ConfigError: An alias (with the pinned name where the table knows it), an
            opaque name without a reason, an unknown name in strict mode, a model
            file that cannot be read.
    """
    pin = _hashed(pin, rehash=rehash)
    found = classify(
        pin.provider, pin.model, endpoint=pin.endpoint, options=pin.options
    )
    _admit(pin, found, strict=strict)
    end = shutdown(pin.provider, pin.model, endpoint=pin.endpoint)
    lifecycle: Mapping[str, str] = pin.lifecycle
    if end and not _noted_by_hand(pin) and not _newer(pin, end):
        lifecycle = {"shutdown": end.date, "source": end.source, "seen": end.seen}
    return replace(pin, version_class=found.version_class, lifecycle=lifecycle)


def refresh(lock: Lock, *, strict: bool = False, rehash: bool = False) -> Lock:
    """Return the lock with every pin prepared anew; ids follow what changed.

    Raises:
        ConfigError: As `prepare`, for the first pin that must not stay.
    """
    now = {
        old.id: prepare(old, strict=strict, rehash=rehash) for old in lock.pins.values()
    }
    routes = {
        route.name: replace(
            route,
            active=now[route.active].id,
            allowed=tuple(sorted({now[key].id for key in route.allowed})),
        )
        for route in lock.routes.values()
    }
    pins = {pin.id: pin for pin in now.values()}
    return Lock(
        pins=MappingProxyType(pins), routes=MappingProxyType(routes), path=lock.path
    )


def _noted_by_hand(pin: Pin) -> bool:
    """Tell whether a person wrote the date, who may know more than the table."""
    return "shutdown" in pin.lifecycle and "seen" not in pin.lifecycle


def _newer(pin: Pin, end: Shutdown) -> bool:
    """Tell whether the provider's own list was read since the table was written."""
    noted = pin.lifecycle
    return noted.get("source") == "list-models" and noted.get("seen", "") >= end.seen


def _hashed(pin: Pin, *, rehash: bool) -> Pin:
    option = hash_option(pin)
    if not option or (option in pin.options and not rehash):
        return pin
    return replace(pin, options={**pin.options, option: content_hash(pin)})


def _admit(pin: Pin, found: Classification, *, strict: bool) -> None:
    name = f"model {pin.model!r} of provider {pin.provider!r}"
    if found.version_class == "alias":
        raise ConfigError(f"{name} is an alias, {found.reason}; {_instead(pin, found)}")
    if found.version_class == "opaque" and not pin.accept_opaque.strip():
        raise ConfigError(
            f"{name} is opaque: {found.reason}; if it is accepted all the same, say "
            "why: `--accept-opaque REASON`"
        )
    if found.version_class == "unknown" and strict:
        raise ConfigError(
            f"{name} is unknown: {found.reason}; strict mode refuses it "
            "(`LLMGUARD_STRICT=0` lets it pass)"
        )


def _instead(pin: Pin, found: Classification) -> str:
    table = naming()
    if not found.suggestion:
        docs = table.docs[table.scheme(pin.provider, pin.endpoint)]
        return f"choose a pinned name from {docs}"
    end = shutdown(pin.provider, found.suggestion, endpoint=pin.endpoint)
    until = f", which shuts down on {end.date}" if end else ""
    return (
        f"as of {table.updated} it stood for {found.suggestion!r}{until}: "
        f"`llmguard pin add {pin.route} --provider {pin.provider} "
        f"--model {found.suggestion}`"
    )
