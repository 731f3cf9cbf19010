"""Refuses credentials in a pin: a lock is committed, reviewed and shipped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from ..errors import ConfigError
from ._canonical import JSON

__all__ = ["refuse"]

# Compiled when first used: most programs read no lock while they start.
_NAMES: Final = (
    r"(?i)(?:.*[_-])?(?:api[_-]?key|key|token|secret|password|passwd|authorization"
    r"|credentials?|cookie)"
)
# Prefixes that the vendors document, so that secret scanners can find leaked keys.
_VALUES: Final = (
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}"
    r"|\b(?:gsk|hf|xai|r8|glpat|github_pat|gh[oprsu])[_-][A-Za-z0-9_-]{16,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}"
    r"|\b[Bb](?:earer|asic) +[A-Za-z0-9._~+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)


def refuse(entry: Mapping[str, JSON]) -> None:
    """Raise `ConfigError` when a value of the entry looks like a credential."""
    for at, key, value in _leaves(entry, ""):
        # `api_key_env` names a variable; it is how a key should be given.
        if re.fullmatch(_NAMES, key) or re.search(_VALUES, value):
            raise _error(at, value)
    _refuse_in_url(str(entry.get("endpoint", "")))


def _leaves(value: JSON, at: str) -> Iterator[tuple[str, str, str]]:
    """Yield (path, nearest key, text) of every string."""
    if isinstance(value, str):
        yield at, re.sub(r"\[\d+\]", "", at).rpartition(".")[2], value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{at}.{key}" if at else key)
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{at}[{index}]")


def _refuse_in_url(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    if "@" in parts.netloc:
        raise _error("endpoint", parts.netloc.rpartition("@")[0])
    for key, value in parse_qsl(parts.query):
        if re.fullmatch(_NAMES, key):
            raise _error(f"endpoint?{key}", value)


def _error(at: str, value: str) -> ConfigError:
    shown = f"{value[:4]}..." if value else "''"
    return ConfigError(
        f"`{at}` of a pin looks like a credential ({shown!r}); a lock is committed. "
        "Put the key in an environment variable and name it: "
        "`--option api_key_env=OPENAI_API_KEY`"
    )
