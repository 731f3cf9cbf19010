"""Counts of what happened, per function, tier, pin and kind, for `llmguard status`.

A call adds to a dict in memory; a keeper thread moves the increments to the store
about once a second. A store that is down or slow costs counts, never calls.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Final

from .._dataclass import dataclass
from ..outcome import Attempt, Kind, Outcome

__all__ = ["DRILL", "EXERCISE", "QUEUED", "Activity", "process_name", "word_of"]

EXERCISE: Final = " (exercise)"
"""Follows the tier's name in rows of attempts that no caller waited for."""
DRILL: Final = " (drill)"
"""Follows the tier's name in rows written by `llmguard drill`."""
QUEUED: Final = "queued"
"""Stands for the kind of an attempt that asked a person, who may answer later."""

_MAX_ROWS = 10_000
"""Distinct rows held between two flushes; more would mean unbounded labels."""


def process_name() -> str:
    """Return `host:pid`, which names this process in the store."""
    from socket import gethostname  # with ssl, a tenth of what `import llmguard` takes

    return f"{gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class _Cell:
    n: int = 0
    total_elapsed: float = 0.0
    last_at: float = 0.0


def word_of(outcome: Outcome) -> str:
    """Return how a call ended: `ok`, `degraded`, `deferred`, or the kind of failure."""
    if outcome.kind is Kind.OK:
        return "degraded" if outcome.degraded else "ok"
    return "deferred" if outcome.ticket_id else str(outcome.kind)


class Activity:
    """Increments since the last `drain()`; usable as a telemetry hook."""

    __slots__ = ("_cells", "_lock", "lost")

    def __init__(self) -> None:
        self.lost = 0
        self.renew()

    def renew(self) -> None:
        """Start from zero, as a forked child does: what it holds is its parent's."""
        self._lock = threading.Lock()
        self._cells: dict[tuple[str, str, str, str], _Cell] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Count the attempts of one call, and the call itself under tier ``""``.

        An attempt counts under its kind, or as `queued` when it asked a person.
        The call counts as `ok` when the first tier answered, `degraded` when another
        one did, `deferred` when a person will, and else under its outcome kind.
        """
        with self._lock:
            for a in outcome.attempts:
                asked = a.kind is Kind.SKIPPED and a.ticket_id
                word = QUEUED if asked else str(a.kind)
                key = (outcome.function, a.tier, a.pin, word)
                self._add(key, a.elapsed, outcome.at + a.started)
            key = (outcome.function, "", "", word_of(outcome))
            self._add(key, outcome.elapsed, outcome.at)

    def note(self, function: str, attempt: Attempt, at: float, source: str) -> None:
        """Count one attempt apart from live ones.

        Args:
            function: Qualified name.
            attempt: The attempt.
            at: When its call began, epoch seconds.
            source: `EXERCISE` or `DRILL`, put after the tier's name.
        """
        tier = f"{attempt.tier}{source}"
        key = (function, tier, attempt.pin, str(attempt.kind))
        with self._lock:
            self._add(key, attempt.elapsed, at + attempt.started)

    def _add(self, key: tuple[str, str, str, str], elapsed: float, at: float) -> None:
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= _MAX_ROWS:
                self.lost += 1
                return
            cell = self._cells[key] = _Cell()
        cell.n += 1
        cell.total_elapsed += elapsed
        cell.last_at = max(cell.last_at, at)

    def drain(self) -> list[Mapping[str, object]]:
        """Return the increments as rows for the store, and start again from zero."""
        with self._lock:
            cells, self._cells = self._cells, {}
        process = process_name()
        return [
            {
                "process": process,
                "function": function,
                "tier": tier,
                "pin": pin,
                "kind": kind,
                "n": cell.n,
                "last_at": cell.last_at,
                "total_elapsed": cell.total_elapsed,
            }
            for (function, tier, pin, kind), cell in cells.items()
        ]
