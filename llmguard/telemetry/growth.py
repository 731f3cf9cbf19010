"""What a tally grew by, in numbered batches that are written exactly once.

A batch stays the same until it is acknowledged: whoever stores it can tell by its
number that it came before, so a write whose end nobody saw is simply repeated.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from .._dataclass import dataclass
from .activity import process_name
from .tally import Count, Tally, rows

__all__ = ["Batch", "Growth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was counted between two moments.

    Attributes:
        source: Names one life of one process.
        number: 1, 2, ... within the source.
        at: Epoch seconds of the later moment.
        rows: Counts and how much they grew; never 0.
    """

    source: str
    number: int
    at: float
    rows: Sequence[tuple[Count, int]]


class Growth:
    """Follows one tally for one reader; used from one thread at a time."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self.renew()

    def renew(self) -> None:
        """Start a source of its own, as a forked child does."""
        self._source = ""  # named when needed: importing must not ask for the host
        self._number = 0
        self._told: Counter[Count] = Counter()
        self._open: Batch | None = None

    def batch(self, now: float) -> Batch | None:
        """Return what is not yet acknowledged; None when nothing is."""
        if self._open is None:
            grown = rows(self._tally.snapshot())
            grown.subtract(self._told)
            changed = [(key, n) for key, n in grown.items() if n]
            if not changed:
                return None
            if not self._source:
                self._source = f"{process_name()}:{os.urandom(8).hex()}"
            self._open = Batch(
                source=self._source, number=self._number + 1, at=now, rows=changed
            )
        return self._open

    def done(self) -> None:
        """Acknowledge the batch: it is stored, or was before."""
        if self._open is not None:
            self._told.update(dict(self._open.rows))
            self._number = self._open.number
            self._open = None
