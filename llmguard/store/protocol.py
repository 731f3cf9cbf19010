"""What llmguard needs of a durable store; SQLite is the default backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

__all__ = ["ActivityStore", "BreakerCount", "BreakerRow", "BreakerStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRow:
    """The published state of one breaker.

    Attributes:
        key: `function|pin id`.
        state: `closed`, `open`, `half-open`, `quarantined`, `forced-open` or
            `forced-closed`.
        reason: Why it is in that state, one line.
        since: Epoch seconds of the transition, by the writer's clock.
        until: Epoch seconds when an open breaker may admit probes; None otherwise.
        rev: Grows by one with every write of this row; 0 before the first.
        actor: Who did it: `breaker`, or the user name of a person.
    """

    key: str
    state: str
    reason: str = ""
    since: float = 0.0
    until: float | None = None
    rev: int = 0
    actor: str = "breaker"


class BreakerCount(NamedTuple):
    """What one process has seen of one version since it started.

    Attributes:
        key: `function|pin id`.
        process: Names one life of one process.
        calls: Distinct inputs whose first answer was judged.
        fails: Those that broke the contract.
    """

    key: str
    process: str
    calls: int
    fails: int


class BreakerStore(Protocol):
    """Where transitions of breakers are published and quarantine survives."""

    def get_breaker(self, key: str) -> BreakerRow | None:
        """Return the row, or None when nothing was ever published."""
        ...

    def put_breaker(self, row: BreakerRow) -> BreakerRow | None:
        """Write `row` if the stored `rev` equals `row.rev`; return it with rev + 1.

        Returns None when another process wrote first (read again, then decide).
        """
        ...

    def list_breakers(self) -> Sequence[BreakerRow]:
        """Return every row, sorted by key."""
        ...

    def breakers_rev(self) -> int:
        """Return a number that changes whenever any row changes; cheap to poll."""
        ...

    def put_breaker_counts(
        self, process: str, totals: Mapping[str, tuple[int, int]]
    ) -> None:
        """Publish a process's totals by key: calls, and those that failed."""
        ...

    def breaker_counts(self) -> Sequence[BreakerCount]:
        """Return the totals of every process of the last day."""
        ...


class ActivityStore(Protocol):
    """Counters and last-seen times that `llmguard status` reads.

    They live in a file of their own with relaxed durability: losing the last second
    of counts is fine, slowing a call for them is not.
    """

    def add_activity(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Merge one process's increments.

        Each row has `process` (str), `function`, `tier`, `pin`, `kind` (str), `n`
        (int), `last_at` (epoch seconds), `total_elapsed` (seconds, float).
        """
        ...

    def beat(self, process: str, info: Mapping[str, object]) -> None:
        """Record that `process` is alive, with what it wants people to know."""
        ...

    def activity(self, *, since: float = 0.0) -> Sequence[Mapping[str, object]]:
        """Return merged counts per function, tier, pin and kind."""
        ...

    def processes(self) -> Sequence[Mapping[str, object]]:
        """Return the last heartbeat of every process."""
        ...
