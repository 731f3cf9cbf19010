"""`Pin`: one exact model version, with everything that decides how it behaves."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, cast

from ..errors import ConfigError
from . import _secrets
from ._canonical import JSON, digest, freeze, thaw

__all__ = [
    "FINGERPRINT_POLICIES",
    "VERSION_CLASSES",
    "FingerprintPolicy",
    "Pin",
    "VersionClass",
]

VersionClass: TypeAlias = Literal[
    "immutable", "versioned", "alias", "opaque", "unknown"
]
"""What the name of a model promises."""
FingerprintPolicy: TypeAlias = Literal["record", "warn", "block"]
"""What a fingerprint that the pin does not list does to an answer."""

VERSION_CLASSES: Final[tuple[VersionClass, ...]] = (
    "immutable",
    "versioned",
    "alias",
    "opaque",
    "unknown",
)
FINGERPRINT_POLICIES: Final[tuple[FingerprintPolicy, ...]] = ("record", "warn", "block")

# What people write about a pin is no part of what it is: a new owner, a new shutdown
# date or a better naming rule must not void the evidence gathered for it.
_NOT_IDENTITY: Final = frozenset(
    {"version_class", "owner", "accept_opaque", "lifecycle", "base"}
)
_TABLES: Final = ("params", "options", "lifecycle")
_ROUTE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_ENDPOINT: Final = re.compile(r"https?://[^/\s?#]+[^\s]*")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


def _empty() -> Mapping[str, Any]:
    return _EMPTY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pin:
    """One exact model version and how it is called; immutable and hashable.

    Two pins are equal when their whole entries are; `id` covers only what decides
    behaviour, so a new owner or shutdown date keeps it.

    Attributes:
        route: The name that functions use, such as "triage".
        provider: "openai" (any OpenAI-compatible server), "replay", "llama.cpp", or
            any registered provider.
        model: The exact model id; for llama.cpp a GGUF path or "embedded:NAME"; for
            replay a JSONL path.
        endpoint: Base URL; None for the provider's own.
        version_class: What the name promises: "immutable" (content hash),
            "versioned" (the provider's word), "alias", "opaque" or "unknown".
        params: Sampling parameters sent with each call.
        options: Provider options, such as `api`, `api_key_env`, `gguf_sha256`.
        expect_echo: Served ids that are accepted; () means the model id itself,
            ("*",) declares that the served id cannot be verified.
        fingerprint_policy: What a changed fingerprint does: "record" by default,
            because backend roll-outs change it without changing the model.
        prompt_digest: Digest of the prompt it was qualified with; "" for any.
        schema_digest: Digest of the answer's JSON Schema; "" for any.
        contract: Name of the contract it was qualified for; "" for any.
        owner: Who decides about it.
        accept_opaque: Why an opaque name is accepted; required for that class.
        lifecycle: `shutdown` (ISO date), `source`, `seen` (ISO date).
        base: Directory that relative model paths start at: the lock's own. Not part
            of the entry.

    Raises:
        ConfigError: A value of the wrong type or form, or a secret.
    """

    route: str
    provider: str
    model: str
    endpoint: str | None = None
    version_class: VersionClass = "unknown"
    params: Mapping[str, JSON] = field(default_factory=_empty)
    options: Mapping[str, JSON] = field(default_factory=_empty)
    expect_echo: tuple[str, ...] = ()
    fingerprint_policy: FingerprintPolicy = "record"
    prompt_digest: str = ""
    schema_digest: str = ""
    contract: str = ""
    owner: str = ""
    accept_opaque: str = ""
    lifecycle: Mapping[str, str] = field(default_factory=_empty)
    base: str = ""
    _id: str = field(init=False, repr=False, default="")
    _identity: str = field(init=False, repr=False, default="")
    _digest: str = field(init=False, repr=False, default="")

    def __post_init__(self) -> None:
        _check_types(self)
        _check_forms(self)
        for name in _TABLES:
            frozen = freeze(dict(getattr(self, name)), at=name)
            object.__setattr__(self, name, frozen)
        object.__setattr__(self, "expect_echo", tuple(self.expect_echo))
        _secrets.refuse(self.entry())
        entry: dict[str, JSON] = {"route": self.route, **self.entry()}
        identity = {k: v for k, v in entry.items() if k not in _NOT_IDENTITY}
        object.__setattr__(self, "_identity", digest(identity))
        object.__setattr__(self, "_id", f"p-{self._identity[:10]}")
        object.__setattr__(self, "_digest", digest(entry))

    @property
    def id(self) -> str:
        """Short hash of what decides behaviour: "p-" and 10 hex digits."""
        return self._id

    @property
    def identity(self) -> str:
        """SHA-256 of what decides behaviour, 64 hex digits; evidence is about it.

        Unlike `digest` it stays when an owner, a reason or a shutdown date changes.
        """
        return self._identity

    @property
    def digest(self) -> str:
        """SHA-256 of the whole entry, 64 hex digits; `models.lock` stores it."""
        return self._digest

    @property
    def path(self) -> Path:
        """`model` as a file, relative paths resolved against the lock's directory."""
        # Textually, as it was made: the directory of the lock may not exist yet.
        return Path(os.path.normpath(Path(self.base, self.model)))

    def accepts(self, served: str | None) -> bool | None:
        """Tell whether the provider's echo fits; None when it cannot be verified.

        Args:
            served: The model id in the provider's answer; None when it gave none.
        """
        if served is None or "*" in self.expect_echo:
            return None
        return served in (self.expect_echo or (self.model,))

    def entry(self) -> dict[str, JSON]:
        """Return the entry as `models.lock` holds it: plain values, no defaults."""
        entry: dict[str, JSON] = {}
        for spec in fields(self):
            value = cast("JSON", getattr(self, spec.name))
            if spec.name in _SKIPPED or not value:
                continue
            entry[spec.name] = thaw(value)
        return entry

    def __eq__(self, other: object) -> bool:
        return (  # `NotImplemented`: Python asks the other side
            self._digest == other._digest if isinstance(other, Pin) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._digest)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled; pins do go to worker processes.
        values = self.entry() | {"route": self.route, "base": self.base}
        return (_rebuild, (values,))


_SKIPPED: Final = frozenset({"route", "base", "_id", "_identity", "_digest"})


def _rebuild(values: dict[str, Any]) -> Pin:
    return Pin(**values)


def _check_types(pin: Pin) -> None:
    """Refuse values of a wrong type: locks come from files, pins from anywhere."""
    for spec in fields(pin):
        value: object = getattr(pin, spec.name)
        if spec.name in _TABLES:
            _require(isinstance(value, Mapping), spec.name, value, "a table")
        elif spec.name == "expect_echo":
            _require(_is_texts(value), spec.name, value, "a list of model ids")
        elif not (spec.name == "endpoint" and value is None):
            _require(isinstance(value, str), spec.name, value, "text")
    for key, text in cast("Mapping[str, object]", pin.lifecycle).items():
        _require(isinstance(text, str), f"lifecycle.{key}", text, "text")


def _check_forms(pin: Pin) -> None:
    """Refuse texts that are not what their field is for."""
    route = bool(_ROUTE.fullmatch(pin.route))
    _require(route, "route", pin.route, "letters, digits, `_`, `.`, `-`: 'triage'")
    _require(bool(pin.provider), "provider", pin.provider, "a name, such as 'openai'")
    _require(bool(pin.model.strip()), "model", pin.model, "an exact model id")
    url = pin.endpoint is None or bool(_ENDPOINT.fullmatch(pin.endpoint))
    _require(url, "endpoint", pin.endpoint, "a URL: 'https://api.openai.com/v1'")
    _one_of(pin.version_class, "version_class", VERSION_CLASSES)
    _one_of(pin.fingerprint_policy, "fingerprint_policy", FINGERPRINT_POLICIES)
    for key in {"shutdown", "seen"} & pin.lifecycle.keys():
        text = pin.lifecycle[key]
        _require(_is_date(text), f"lifecycle.{key}", text, "a date, YYYY-MM-DD")


def _is_texts(value: object) -> bool:
    if not isinstance(value, tuple | list):
        return False
    items = cast("Sequence[object]", value)
    return all(isinstance(item, str) and item for item in items)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _one_of(value: str, name: str, allowed: tuple[str, ...]) -> None:
    _require(value in allowed, name, value, " or ".join(map(repr, allowed)))


def _require(ok: bool, name: str, value: object, expected: str) -> None:
    if not ok:
        raise ConfigError(f"`{name}` of a pin is {value!r}; it must be {expected}")
