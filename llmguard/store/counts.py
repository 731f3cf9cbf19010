"""Counts over time that no killed process takes back, for objectives and dashboards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

__all__ = ["HOUR", "MINUTE", "SPANS", "TOTAL", "CountRow", "CountStore"]

MINUTE: Final = 60
"""The span of counts by minutes, in seconds."""
HOUR: Final = 3600
"""The span of counts by hours, in seconds."""
TOTAL: Final = 0
"""The span that holds everything ever counted."""
SPANS: Final = (MINUTE, HOUR)
"""Spans that counts are kept by, besides totals."""
TOTAL_ONLY: Final = frozenset({"attempt", "bucket", "micros", "tokens"})
"""Measures that are kept as totals only: nobody asks for their minutes."""


class CountRow(NamedTuple):
    """One number, summed over what was not asked to be told apart.

    Attributes:
        start: Epoch seconds at which its minute or hour begins; 0 where all were
            summed.
        function: Qualified name.
        pin: Version.
        tier: Tier.
        measure: What was counted, as in `llmguard.telemetry.tally.Count`.
        label: Which of it.
        n: How many.
    """

    start: float
    function: str
    pin: str
    tier: str
    measure: str
    label: str
    n: int


class CountStore(Protocol):
    """Keeps minutes for 4 days, hours for 400, totals for ever."""

    def add(
        self,
        env: str,
        rows: Sequence[tuple[Sequence[str], int]],
        *,
        source: str,
        number: int,
        at: float,
    ) -> bool:
        """Add one batch in one transaction; False when it had been added before.

        Args:
            env: Environment.
            rows: Function, pin, tier, measure and label of each count, and its growth.
            source: Who counted.
            number: The source's number of the batch; each is added once, in order.
            at: Epoch seconds that the growth is booked under.

        Raises:
            StoreError: The store could not write; nothing, or all of it, is there.
        """
        ...

    def sums(
        self,
        env: str,
        *,
        since: float | None = None,
        function: str | None = None,
        span: int = MINUTE,
    ) -> Sequence[CountRow]:
        """Return sums from the minute or hour that `since` is in; None for totals."""
        ...

    def series(
        self, env: str, *, function: str, since: float, span: int = MINUTE
    ) -> Sequence[CountRow]:
        """Return the counts of each minute or hour since then, in order."""
        ...

    def put_objectives(
        self, env: str, documents: Mapping[tuple[str, str], str], *, at: float
    ) -> None:
        """Keep what functions owe: by function and name, as JSON."""
        ...

    def objectives(self, env: str) -> Mapping[tuple[str, str], str]:
        """Return the objectives of all functions, by function and name, as JSON."""
        ...

    def drop_objective(self, env: str, function: str, name: str) -> bool:
        """Forget an objective that no program declares any more."""
        ...

    def claim(self, key: str, value: str, *, hold: float, fresh: bool = True) -> bool:
        """Take a key for `hold` seconds unless it was taken with the same value.

        Args:
            key: What is claimed.
            value: What for; another value than the last one's always succeeds.
            hold: Seconds.
            fresh: False succeeds only where the key was claimed before.
        """
        ...

    def lease(self, key: str, *, hold: float) -> bool:
        """Take a key for `hold` seconds unless anyone has taken it."""
        ...
