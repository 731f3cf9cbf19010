"""Reads `models.lock`, believes nothing, and says where and how to repair it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from .._nested import read_toml
from ..errors import ConfigError, LockError
from ._lock import LOCK_VERSION, Lock, Route
from ._pin import Pin

__all__ = ["from_text", "read_lock"]

_PIN_KEYS: Final = frozenset(
    {spec.name for spec in fields(Pin) if spec.init} - {"route", "base"}
)
_ROUTE_KEYS: Final = frozenset({"active", "allowed"})
_REPAIR: Final = (
    "if the edit is meant, `llmguard pin refresh` re-hashes the lock; "
    "else restore the file from version control"
)
_NO_ALIAS: Final = "`llmguard pin add` says which name to pin instead"


def read_lock(path: Path, *, verify: bool = True) -> Lock:
    """Read and verify a lock file.

    Raises:
        LockError: It is missing, unreadable, or an entry does not match its hash.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise LockError(
            f"no lock at {str(path)!r}; make it with the first pin: "
            "`llmguard pin add ROUTE --provider openai --model MODEL`, or name "
            "another file: `LLMGUARD_LOCK=PATH`"
        ) from None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error}") from error
    return from_text(raw, path=path, verify=verify)


def from_text(raw: bytes, *, path: Path | None = None, verify: bool = True) -> Lock:
    """Parse the bytes of a lock.

    Args:
        raw: The file's content.
        path: Where it came from; errors name it and relative model paths start there.
        verify: False accepts entries whose id or hash is stale and re-hashes them.

    Raises:
        LockError: Not TOML, another `lock_version`, an unknown key, a wrong value, a
            pin that must not run, or an entry that does not match its hash.
    """
    return _Reader(raw, path, verify=verify).lock()


class _Reader:
    """One reading; holds the text so that errors can name a line."""

    def __init__(self, raw: bytes, path: Path | None, *, verify: bool) -> None:
        self.raw, self.path, self.verify = raw, path, verify
        self.name = str(path) if path else "models.lock"
        self.renamed: dict[str, str] = {}

    def lock(self) -> Lock:
        document = self._document()
        pins = {pin.id: pin for pin in self._pins(document)}
        routes = {route.name: route for route in self._routes(document, pins)}
        for pin in pins.values():
            if pin.route not in routes or pin.id not in routes[pin.route].allowed:
                at = f'pins."{pin.route}/{pin.id}"'
                raise self._error(at, f"route {pin.route!r} does not allow it")
        return Lock(
            pins=MappingProxyType(dict(sorted(pins.items()))),
            routes=MappingProxyType(dict(sorted(routes.items()))),
            path=self.path,
            digest=hashlib.sha256(self.raw).hexdigest(),
        )

    def _document(self) -> dict[str, Any]:

        try:
            document = read_toml(self.raw.decode())
        except ValueError as error:
            raise LockError(
                f"{self.name} is not valid TOML: {error}; {_REPAIR}"
            ) from error
        version = document.get("lock_version")
        if version != LOCK_VERSION:
            raise self._error(
                "lock_version",
                f"is {version!r}, this llmguard reads {LOCK_VERSION}; "
                "upgrade llmguard-toolkit where it is older than the lock's writer",
                repair="",
            )
        self._known("", document, {"lock_version", "created_by", "pins", "routes"})
        return document

    def _pins(self, document: Mapping[str, Any]) -> Iterator[Pin]:
        for name, entry in self._tables(document, "pins"):
            at = f'pins."{name}"'
            self._known(at, entry, _PIN_KEYS | {"sha256"})
            yield self._pin(at, name, dict(entry))

    def _pin(self, at: str, name: str, entry: dict[str, Any]) -> Pin:
        route, _, key = name.rpartition("/")
        stored = entry.pop("sha256", None)
        base = str(self.path.parent.absolute()) if self.path else ""
        try:
            pin = Pin(route=route, base=base, **entry)
        except (ConfigError, TypeError) as error:
            raise self._error(at, str(error)) from error
        if self.verify and (stored != pin.digest or key != pin.id):
            raise self._error(at, "does not match its hash: it was edited by hand")
        if self.verify:
            self._admitted(at, pin)
        self.renamed[key] = pin.id
        return pin

    def _admitted(self, at: str, pin: Pin) -> None:
        """Refuse what `pin add` refuses, whoever wrote the lock."""
        if pin.version_class == "alias":
            raise self._error(at, f"pins the alias {pin.model!r}", repair=_NO_ALIAS)
        if pin.version_class == "opaque" and not pin.accept_opaque.strip():
            text = f"pins the opaque name {pin.model!r} without `accept_opaque`"
            raise self._error(at, text, repair=_NO_ALIAS)

    def _routes(
        self, document: Mapping[str, Any], pins: Mapping[str, Pin]
    ) -> Iterator[Route]:
        for name, entry in self._tables(document, "routes"):
            at = f"routes.{name}"
            self._known(at, entry, _ROUTE_KEYS | {"sha256"})
            yield self._route(at, name, entry, pins)

    def _route(
        self, at: str, name: str, entry: Mapping[str, Any], pins: Mapping[str, Pin]
    ) -> Route:
        active, allowed = entry.get("active"), _ids(entry.get("allowed"))
        if not isinstance(active, str) or active not in allowed:
            raise self._error(at, "needs `active`, an id that is listed in `allowed`")
        ids = tuple(sorted({self.renamed.get(key, key) for key in allowed}))
        route = Route(name=name, active=self.renamed.get(active, active), allowed=ids)
        for key in ids:
            if key not in pins or pins[key].route != name:
                raise self._error(at, f"allows {key!r}, which is no pin of this route")
        if self.verify and entry.get("sha256") != route.digest:
            raise self._error(at, "does not match its hash: it was edited by hand")
        return route

    def _tables(
        self, document: Mapping[str, Any], section: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        found = document.get(section, {})
        if not isinstance(found, dict):
            raise self._error(section, f"is {found!r}, not a table")
        for name, entry in cast("dict[str, object]", found).items():
            if not isinstance(entry, dict):
                raise self._error(f"{section}.{name}", f"is {entry!r}, not a table")
            yield name, cast("dict[str, Any]", entry)

    def _known(
        self, at: str, table: Mapping[str, Any], known: set[str] | frozenset[str]
    ) -> None:
        for key in table:
            if key not in known:
                where = f"{at}.{key}" if at else key
                raise self._error(where, f"is unknown; known: {sorted(known)}")

    def _error(self, at: str, text: str, *, repair: str = _REPAIR) -> LockError:
        line = self._line(at)
        place = f"{self.name}:{line}" if line else self.name
        return LockError(f"{place}: `{at}` {text}" + (f"; {repair}" if repair else ""))

    def _line(self, at: str) -> int:
        """Find the line of a table header or top-level key; 0 when it is not there."""
        heads = (f"[{at}]", f"[{at.rpartition('.')[0]}]", f"{at} =")
        lines = self.raw.decode(errors="replace").splitlines()
        for head in heads:
            for number, line in enumerate(lines, start=1):
                if line.strip().startswith(head):
                    return number
        return 0


def _ids(value: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]
