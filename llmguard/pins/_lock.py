"""`Lock`: which pins may run on which route, as one immutable value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from ..errors import LockError
from ._canonical import digest
from ._pin import Pin

__all__ = ["LOCK_VERSION", "Lock", "Route"]

LOCK_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What may run under one name.

    Attributes:
        name: The name that functions use.
        active: Id of the pin that answers.
        allowed: Ids of all pins that may run, `active` among them, sorted.
    """

    name: str
    active: str
    allowed: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the entry, 64 hex digits; `models.lock` stores it."""
        return digest(
            {"name": self.name, "active": self.active, "allowed": self.allowed}
        )


def _no_pins() -> Mapping[str, Pin]:
    return MappingProxyType({})


def _no_routes() -> Mapping[str, Route]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The content of one `models.lock`; changes make a new one.

    Attributes:
        pins: Every pin by its id.
        routes: Every route by its name.
        path: The file it was read from; None for one made in memory.
        digest: SHA-256 of the file's bytes; "" for one made in memory.
    """

    pins: Mapping[str, Pin] = field(default_factory=_no_pins)
    routes: Mapping[str, Route] = field(default_factory=_no_routes)
    path: Path | None = None
    digest: str = ""

    def resolve(self, route: str) -> Pin:
        """Return the active pin of a route.

        Raises:
            LockError: The lock has no such route; the message lists those it has.
        """
        found = self.routes.get(route)
        if found is None:
            raise LockError(self._unknown(route))
        return self.pins[found.active]

    def allowed(self, route: str) -> tuple[Pin, ...]:
        """Return every pin that may run on a route, the active one first.

        Raises:
            LockError: The lock has no such route.
        """
        active = self.resolve(route)
        others = (self.pins[key] for key in self.routes[route].allowed)
        return (active, *(pin for pin in others if pin.id != active.id))

    def with_pin(self, pin: Pin, *, activate: bool = False) -> Lock:
        """Return a lock that also allows `pin`; the first of a route is active."""
        old = self.routes.get(pin.route)
        ids = {pin.id, *(old.allowed if old else ())}
        active = old.active if old and not activate else pin.id
        route = Route(name=pin.route, active=active, allowed=tuple(sorted(ids)))
        return self._changed(
            {**self.pins, pin.id: pin}, {**self.routes, route.name: route}
        )

    def activated(self, pin_id: str) -> Lock:
        """Return a lock where `pin_id` is its route's active pin.

        Raises:
            LockError: No such pin.
        """
        return self.with_pin(self.pin(pin_id), activate=True)

    def without(self, pin_id: str) -> Lock:
        """Return a lock that lacks a pin, and its route when it was the only one.

        Raises:
            LockError: No such pin, or it is active while others are allowed.
        """
        pin = self.pin(pin_id)
        route = self.routes[pin.route]
        rest = tuple(key for key in route.allowed if key != pin.id)
        if rest and route.active == pin.id:
            raise LockError(
                f"pin {pin.id!r} is the active one of route {pin.route!r}; first "
                f"activate another: `llmguard pin use {rest[0]}`"
            )
        pins = {key: kept for key, kept in self.pins.items() if key != pin.id}
        routes = {key: kept for key, kept in self.routes.items() if key != pin.route}
        if rest:
            routes[pin.route] = replace(route, allowed=rest)
        return self._changed(pins, routes)

    def pin(self, pin_id: str) -> Pin:
        """Return a pin by its id.

        Raises:
            LockError: No such pin.
        """
        try:
            return self.pins[pin_id]
        except KeyError:
            raise LockError(
                f"no pin {pin_id!r} in {self._name()}; `llmguard pin list` shows all"
            ) from None

    def _changed(self, pins: Mapping[str, Pin], routes: Mapping[str, Route]) -> Lock:
        return Lock(
            pins=MappingProxyType(dict(sorted(pins.items()))),
            routes=MappingProxyType(dict(sorted(routes.items()))),
            path=self.path,
        )

    def _name(self) -> str:
        return str(self.path) if self.path else "the lock"

    def _unknown(self, route: str) -> str:
        known = ", ".join(map(repr, self.routes)) or "none"
        return (
            f"unknown route {route!r} in {self._name()} (known: {known}); add it: "
            f"`llmguard pin add {route} --provider openai --model MODEL`"
        )
