"""The tiers of guarded functions: what they did, and what they are worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...guard import Fitness
from ...guard._fitness import fitness_of, split_source

__all__ = ["TierLine", "tier_lines"]

_Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class TierLine:
    """One tier of one function.

    Attributes:
        function: Qualified name.
        tier: Name of the tier.
        pin: Pin id, empty for tiers that are not models.
        answered: Attempts of live calls in the window that ended `ok`.
        failed: Those that ended otherwise, by kind; `queued` where a person was asked.
        mean_ms: Mean time of the good ones in milliseconds.
        proven: True when it gave a good answer within 24 hours, to a live call, an
            exercise or a drill; None for people and constants, which are not tried out.
        last_ok: Epoch seconds of that answer; None when there was none.
        source: `live`, `exercise` or `drill`: what that answer was for.
        clean: Good answers of the last 24 hours, of all three kinds.
        not_clean: Tries of the last 24 hours that ended otherwise.
        bound: The highest failure rate that fits these, at 95 % confidence.
        drill: What `llmguard drill` calls the function; empty where it is not known.
    """

    function: str
    tier: str
    pin: str
    answered: int = 0
    failed: Mapping[str, int]
    mean_ms: float | None = None
    proven: bool | None
    last_ok: float | None
    source: str
    clean: int
    not_clean: int
    bound: float | None
    drill: str = ""


def tier_lines(
    window: Sequence[Mapping[str, Any]],
    day: Sequence[Mapping[str, Any]],
    processes: Sequence[Mapping[str, Any]],
    *,
    now: float,
) -> list[TierLine]:
    """Return a line for every tier that was tried, or that a live process relies on.

    Args:
        window: Activity of the window shown.
        day: Activity of the last 24 hours.
        processes: Heartbeats, with `alive`.
        now: Epoch seconds.
    """
    live: dict[_Key, list[Mapping[str, Any]]] = {}
    for row in window:
        if row["tier"] and split_source(row["tier"])[1] == "live":
            key = (row["function"], row["tier"], row["pin"])
            live.setdefault(key, []).append(row)
    fit = {(f.function, f.tier, f.pin): f for f in fitness_of(day, now=now)}
    known = dict(_places(processes))
    # People and constants that nobody needed yet are no news.
    alive = [process for process in processes if process["alive"]]
    running = [key for key, (proof, _) in _places(alive) if proof]
    keys = sorted({*live, *fit, *running})
    return [
        _line(key, live.get(key, ()), fit.get(key), known.get(key, ("drill", "")))
        for key in keys
    ]


def _places(
    processes: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[_Key, tuple[str, str]]]:
    """Yield the tiers that processes have, how each is proven, and what to drill."""
    for process in processes:
        for function, places in process["info"].get("functions", {}).items():
            for place in places:
                key = (function, place["tier"], place["pin"])
                yield key, (place.get("proof", "drill"), place.get("drill", ""))


def _line(
    key: _Key,
    rows: Sequence[Mapping[str, Any]],
    fit: Fitness | None,
    known: tuple[str, str],
) -> TierLine:
    proof, target = known
    good = [row for row in rows if row["kind"] == "ok"]
    answered = sum(row["n"] for row in good)
    took = sum(row["total_elapsed"] for row in good)
    proven = fit is not None and fit.proven
    return TierLine(
        function=key[0],
        tier=key[1],
        pin=key[2],
        answered=answered,
        failed={row["kind"]: row["n"] for row in rows if row["kind"] != "ok"},
        mean_ms=1000 * took / answered if answered else None,
        proven=proven if proven or proof else None,
        last_ok=None if fit is None else fit.last_proof,
        source="" if fit is None else fit.source,
        clean=0 if fit is None else fit.clean,
        not_clean=0 if fit is None else fit.failed,
        bound=None if fit is None else fit.bound,
        drill=target,
    )
