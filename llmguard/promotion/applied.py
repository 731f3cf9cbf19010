"""Which processes go by which revision, as their heartbeats say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from ..clock import SYSTEM_CLOCK, Clock
from ..store import Store

__all__ = ["ALIVE_SECONDS", "Process", "applied_now", "wait_applied"]

ALIVE_SECONDS: Final = 10.0
"""A process that has not told of itself for so long is gone."""

_POLL: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process last said.

    Attributes:
        name: `host:pid`.
        at: Epoch seconds of its last word.
        env: Environment that it serves; empty when it does not route by the ledger.
        rev: Revision of the ledger that it goes by; None when it does not say.
        stale: True when it cannot reach the store, and says so by other means.
        argv: What it runs.
        pins: Pins by function of its first tiers.
        problem: What it complains about.
    """

    name: str
    at: float
    env: str = ""
    rev: int | None = None
    stale: bool = False
    argv: str = ""
    pins: tuple[tuple[str, str], ...] = ()
    problem: str = ""

    def behind(self, rev: int) -> bool:
        """Tell whether it has not applied a revision, as far as it says."""
        return self.stale or self.rev is None or self.rev < rev


def applied_now(store: Store, *, env: str, now: float) -> tuple[Process, ...]:
    """Return the live processes of an environment, those that do not say included."""
    found = (_process(cast("dict[str, Any]", row)) for row in store.processes())
    return tuple(
        one for one in found if now - one.at < ALIVE_SECONDS and one.env in ("", env)
    )


def wait_applied(
    store: Store,
    *,
    env: str,
    rev: int,
    seconds: float,
    clock: Clock = SYSTEM_CLOCK,
    watch: Callable[[tuple[Process, ...]], None] | None = None,
) -> tuple[tuple[Process, ...], tuple[Process, ...]]:
    """Wait until every live process goes by a revision.

    Args:
        store: The store that the processes share.
        env: Environment.
        rev: Revision of the ledger.
        seconds: How long to wait at most.
        clock: Where it reads the time.
        watch: Told who lags, whenever it looks.

    Returns:
        The processes that are there, and those that lag at the end.
    """
    end = clock.monotonic() + seconds
    while True:
        there = applied_now(store, env=env, now=clock.time())
        behind = tuple(one for one in there if one.behind(rev))
        if watch is not None:
            watch(behind)
        if not behind or clock.monotonic() >= end:
            return there, behind
        clock.sleep(_POLL)


def _process(row: dict[str, Any]) -> Process:
    info: dict[str, Any] = row["info"]
    routing: dict[str, Any] = info.get("routing") or {}
    functions: dict[str, list[dict[str, Any]]] = info.get("functions") or {}
    rev = routing.get("rev")
    return Process(
        name=str(row["process"]),
        at=float(row["at"]),
        env=str(routing.get("env", "")),
        rev=int(rev) if rev is not None else None,
        stale=bool(routing.get("stale", False)),
        argv=str(info.get("argv", "")),
        pins=tuple(
            (function, str(tiers[0].get("pin", "")))
            for function, tiers in functions.items()
            if tiers
        ),
        problem=str(routing.get("problem", "")),
    )
