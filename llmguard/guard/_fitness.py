"""What is known about a tier before it is needed: PROVEN, or not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from .._dataclass import dataclass
from ..breaker import upper_rate
from ..outcome import Kind
from ..telemetry.activity import DRILL, EXERCISE, QUEUED

if TYPE_CHECKING:
    from ..store import Store

__all__ = [
    "NO_EVIDENCE",
    "PROOF_SECONDS",
    "Fitness",
    "fitness",
    "fitness_of",
    "split_source",
]

PROOF_SECONDS: Final = 86_400.0
"""A tier that has not answered for a day is not known to work."""

NO_EVIDENCE: Final = frozenset(
    {Kind.SKIPPED, Kind.OPEN, Kind.CANCELLED, Kind.BAD_REQUEST}
)
"""Kinds that say nothing about whether a tier can answer."""

Source = Literal["live", "exercise", "drill"]
_SOURCES: Final[tuple[tuple[str, Source], ...]] = (
    (EXERCISE, "exercise"),
    (DRILL, "drill"),
)
_NOTHING: Final = frozenset({*map(str, NO_EVIDENCE), QUEUED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """What the last 24 hours say about one tier of one function.

    Attributes:
        function: Qualified name.
        tier: Name of the tier.
        pin: Pin id; empty for tiers that are not models.
        proven: True when it gave an answer that satisfied the contract.
        last_proof: Epoch seconds of the last such answer; None when there was none.
        source: What that answer was for: a `live` call, an `exercise` or a `drill`.
        clean: Good answers, of live calls, exercises and drills together.
        failed: Tries that ended otherwise; skipped ones are no tries.
    """

    function: str
    tier: str
    pin: str
    proven: bool
    last_proof: float | None
    source: Source | Literal[""]
    clean: int
    failed: int

    @property
    def bound(self) -> float | None:
        """Highest failure rate that fits what was seen, at 95 % confidence.

        With no failure among n tries it is about 3 / n, the rule of three (Hanley and
        Lippman-Hand, JAMA 249, 1983); in general Clopper and Pearson's bound. None
        when nothing was tried.
        """
        tries = self.clean + self.failed
        return upper_rate(self.failed, tries) if tries else None


def split_source(tier: str) -> tuple[str, Source]:
    """Split a stored tier name into the tier and what it answered for."""
    for suffix, source in _SOURCES:
        if tier.endswith(suffix):
            return tier.removesuffix(suffix), source
    return tier, "live"


def fitness_of(rows: Iterable[Mapping[str, object]], *, now: float) -> list[Fitness]:
    """Return what activity rows of the last day say, by function, tier and pin."""
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in cast("Iterable[Mapping[str, Any]]", rows):
        if row["tier"]:
            key = (row["function"], split_source(row["tier"])[0], row["pin"])
            grouped.setdefault(key, []).append(row)
    return [_one(key, mine, now) for key, mine in sorted(grouped.items())]


def _one(
    key: tuple[str, str, str], rows: list[Mapping[str, Any]], now: float
) -> Fitness:
    good = [row for row in rows if row["kind"] == Kind.OK]
    bad = [row for row in rows if row["kind"] not in _NOTHING | {"ok"}]
    last = max(good, key=lambda row: float(row["last_at"]), default=None)
    return Fitness(
        function=key[0],
        tier=key[1],
        pin=key[2],
        proven=last is not None and now - last["last_at"] < PROOF_SECONDS,
        last_proof=None if last is None else last["last_at"],
        source="" if last is None else split_source(last["tier"])[1],
        clean=sum(row["n"] for row in good),
        failed=sum(row["n"] for row in bad),
    )


def fitness(*, store: Store | None = None, now: float | None = None) -> list[Fitness]:
    """Say which tiers are known to work, from what the store holds of the last day.

    A tier that is missing was never tried. For readiness checks: a deployment whose
    fallback is unproven has none.

    Args:
        store: The store to read; the configured one by default.
        now: Epoch seconds; by default the present.

    Returns:
        One entry per function, tier and pin, sorted.
    """
    from ..store import open_store

    at = time.time() if now is None else now
    source = open_store() if store is None else store
    return fitness_of(source.activity(since=at - PROOF_SECONDS), now=at)
