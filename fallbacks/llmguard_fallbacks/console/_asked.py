"""What pages that show the system ask for alike: environment, span, page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlencode

from llmguard import config
from llmguard.errors import LLMGuardError
from llmguard.pins import Lock, load_lock
from llmguard.promotion.applied import ALIVE_SECONDS

if TYPE_CHECKING:
    from llmguard.store import Store

    from ._visit import Visit

__all__ = [
    "SPANS",
    "alive_processes",
    "choice",
    "env_of",
    "known_envs",
    "lock_or_none",
    "query",
    "span_of",
]

SPANS: Final[Mapping[str, tuple[str, float]]] = {
    "1h": ("hour", 3_600.0),
    "6h": ("6 hours", 6 * 3_600.0),
    "1d": ("day", 86_400.0),
    "7d": ("week", 7 * 86_400.0),
    "30d": ("30 days", 30 * 86_400.0),
    "90d": ("90 days", 90 * 86_400.0),
    "365d": ("year", 365 * 86_400.0),
}
"""Spans that pages offer, by the word in their address."""

_LONGEST_NAME: Final = 200


def env_of(visit: Visit) -> str:
    """Return the environment that is asked about; the console's own by default."""
    return visit.query("env")[:_LONGEST_NAME] or config.load().env


def known_envs(store: Store, env: str) -> tuple[str, ...]:
    """Return the environments that there may be something to see of."""
    found = {config.load().env, env}
    for row in store.processes():
        info = cast("Mapping[str, Any]", row["info"])
        routing: dict[str, Any] = info.get("routing") or {}
        found.add(str(routing.get("env") or ""))
    return tuple(sorted(found - {""}))


def alive_processes(store: Store, now: float) -> list[dict[str, Any]]:
    """Return the heartbeats of processes that live."""
    rows = [cast("dict[str, Any]", dict(row)) for row in store.processes()]
    return [row for row in rows if now - float(row["at"]) < ALIVE_SECONDS]


def lock_or_none() -> Lock | None:
    """Return what may run; None when the lock cannot be read here."""
    try:
        return load_lock()
    except LLMGuardError:
        return None


def choice(visit: Visit, name: str, known: Sequence[str], default: str) -> str:
    """Return what was asked for if it is one of those known."""
    given = visit.query(name)
    return given if given in known else default


def span_of(visit: Visit, default: str, names: Sequence[str]) -> tuple[str, float]:
    """Return the word and the seconds of the span that is asked for."""
    word = choice(visit, "span", names, default)
    return word, SPANS[word][1]


def query(**given: object) -> str:
    """Return `?a=b` of what is not empty."""
    kept = {name: value for name, value in given.items() if value not in ("", None)}
    return f"?{urlencode(kept)}" if kept else ""
