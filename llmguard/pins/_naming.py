"""What a model name promises, decided by the rules in `naming.toml`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ._pin import VersionClass

__all__ = ["Classification", "Naming", "Shutdown", "classify", "naming", "shutdown"]

_TABLE: Final = Path(__file__).with_name("naming.toml")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Classification(NamedTuple):
    """What a model name promises.

    Attributes:
        version_class: "immutable", "versioned", "alias", "opaque" or "unknown".
        reason: Why, one line.
        suggestion: A pinned name to use instead; "" when the table has none.
    """

    version_class: VersionClass
    reason: str
    suggestion: str = ""


class Shutdown(NamedTuple):
    """An announced end of a model.

    Attributes:
        date: ISO date of the last day, or the first without it, as announced.
        source: Where it was announced.
        seen: ISO date of the table that says so.
    """

    date: str
    source: str
    seen: str


class _Rule(NamedTuple):
    match: re.Pattern[str]
    version_class: VersionClass
    reason: str


class _End(NamedTuple):
    scheme: str
    models: re.Pattern[str]
    date: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The table, compiled.

    Attributes:
        updated: ISO date of its facts.
        providers: Other names of a scheme.
        hosts: Scheme by the end of an endpoint's host name.
        rules: Rules of each scheme, in order.
        docs: Where each scheme's provider lists its models.
        hashes: For schemes whose models are files: the option that holds the hash.
        suggestions: Pinned name by moving name, per scheme.
        ends: Announced shutdowns.
    """

    updated: str
    providers: Mapping[str, str]
    hosts: Mapping[str, str]
    rules: Mapping[str, Sequence[_Rule]]
    docs: Mapping[str, str]
    hashes: Mapping[str, str]
    suggestions: Mapping[str, Mapping[str, str]]
    ends: Sequence[_End]

    def scheme(self, provider: str, endpoint: str | None = None) -> str:
        """Return whose naming applies: the provider's, or that of the endpoint."""
        name = self.providers.get(provider, provider)
        if name != "openai" or endpoint is None:
            return name
        host = urlsplit(endpoint).hostname or ""
        for end, scheme in self.hosts.items():
            if host == end or host.endswith(f".{end}"):
                return scheme
        return "gateway"


@functools.cache
def naming() -> Naming:
    """Return the shipped table; read on first use."""
    import tomllib

    data = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    schemes: dict[str, Any] = data["schemes"]
    return Naming(
        updated=data["updated"],
        providers=data["providers"],
        hosts=data["hosts"],
        rules={name: _rules(scheme["rules"]) for name, scheme in schemes.items()},
        docs={name: scheme["docs"] for name, scheme in schemes.items()},
        hashes={n: scheme["hash"] for n, scheme in schemes.items() if "hash" in scheme},
        suggestions=data["suggestions"],
        ends=tuple(
            _End(
                end["scheme"], re.compile(end["models"]), end["shutdown"], end["source"]
            )
            for end in data["lifecycle"]
        ),
    )


def classify(
    provider: str,
    model: str,
    *,
    endpoint: str | None = None,
    options: Mapping[str, object] | None = None,
) -> Classification:
    """Tell what a model name promises.

    Args:
        provider: As in a pin; "openai" stands for every OpenAI-compatible server.
        model: The name.
        endpoint: Base URL, which tells whose names an "openai" server uses.
        options: The pin's options; hold the hash where models are files.

    Examples:
        >>> from llmguard.pins import classify
        >>> classify("openai", "gpt-4o").version_class
        'alias'
        >>> classify("openai", "gpt-4o-2024-08-06").version_class
        'versioned'
    """
    table = naming()
    scheme = table.scheme(provider, endpoint)
    if scheme in table.hashes:
        return _file(table.hashes[scheme], options or {})
    for rule in table.rules.get(scheme, ()):
        if rule.match.fullmatch(model):
            suggestion = table.suggestions.get(scheme, {}).get(model, "")
            return Classification(rule.version_class, rule.reason, suggestion)
    if scheme in table.rules:
        return Classification("unknown", f"no rule for {scheme!r} names like this one")
    return Classification("unknown", f"no naming rules for provider {provider!r}")


def shutdown(
    provider: str, model: str, *, endpoint: str | None = None
) -> Shutdown | None:
    """Return the announced end of a model; None when the table knows none."""
    table = naming()
    scheme = table.scheme(provider, endpoint)
    for end in table.ends:
        if end.scheme == scheme and end.models.fullmatch(model):
            return Shutdown(end.date, end.source, table.updated)
    return None


def _file(option: str, options: Mapping[str, object]) -> Classification:
    found = options.get(option)
    if isinstance(found, str) and _SHA256.fullmatch(found):
        return Classification("immutable", f"the file's SHA-256 is in `{option}`")
    return Classification("unknown", f"no SHA-256 of the file in `options.{option}`")


def _rules(entries: Sequence[Mapping[str, Any]]) -> tuple[_Rule, ...]:
    return tuple(
        _Rule(re.compile(entry["match"]), entry["class"], entry["reason"])
        for entry in entries
    )
