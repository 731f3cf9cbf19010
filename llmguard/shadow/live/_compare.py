"""What a process has compared so far on one run, by function and incumbent."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...store import ShadowTally
from ...telemetry.activity import process_name
from .._tally import Tally
from ._keep import Keeping
from ._spec import ladder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...guard import Guard
    from .._draw import Pair
    from .._ladder import Ladder
    from ._run import LiveRun
    from ._work import Work

__all__ = ["REST", "Comparing"]

REST: Final = 1800.0
"""Seconds without a request after which a new tally begins; `fold` waits longer."""
_PATIENCE: Final = 50.0
"""Writing the tallies may take a fiftieth of one thread's time."""
Key = tuple[str, str]


class Comparing:
    """Compares the pairs of one run and keeps their tallies.

    Args:
        run: The run.

    Raises:
        ConfigError: A function that redacts cannot be imported.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._keeping = Keeping(run)
        self._ladders: dict[str, Ladder] = {}
        self.renew()

    def renew(self) -> None:
        """Start from nothing in a forked child: the rest is its parent's."""
        self._lock = threading.Lock()
        self._tallies: dict[Key, Tally] = {}
        self._changed: set[Key] = set()
        self._next = 0.0
        self._names: dict[Key, str] = {}
        self._asked_at: dict[Key, float] = {}

    def take(self, work: Work, pair: Pair) -> None:
        """Compare a pair, count it, and keep its row."""
        key = (work.guard.name, work.incumbent.id)
        ladder = self._ladder(work.guard)
        found = None if pair.b.lost else ladder.compare(pair.a, pair.b)
        row = self._keeping.row(work, pair, found)
        if self._run.options.content:
            pair = replace(pair, input=self._keeping.asked(work))
        with self._lock:
            self._current(key, work.guard, ladder).add(pair)
            self._changed.add(key)
        self._run.counts.keep(row)

    def tally(self, function: str, incumbent: str) -> Tally | None:
        """Return what this process has compared; None for nothing."""
        return self._tallies.get((function, incumbent))

    def rows(self, *, last: bool = False) -> Sequence[ShadowTally]:
        """Return the tallies that changed since they were last asked for.

        The larger they are the longer it is until the next time.

        Args:
            last: Nobody will ask again.
        """
        clock = self._run.clock
        began = clock.monotonic()
        if began < self._next and not last:
            return []
        with self._lock:
            rows = [self._row(key) for key in sorted(self._changed)]
            self._changed = set()
        took = clock.monotonic() - began
        self._next = began + _PATIENCE * took
        return rows

    def put_back(self, rows: Sequence[ShadowTally]) -> None:
        """Take again what the store did not."""
        with self._lock:
            self._changed |= {(row.function, row.incumbent) for row in rows}

    def _current(self, key: Key, guard: Guard, ladder: Ladder) -> Tally:
        """Return the tally to add to, which `fold` has not taken for a dead one's."""
        now, tally = self._run.clock.time(), self._tallies.get(key)
        rested = now - self._asked_at.get(key, now) > REST
        self._asked_at[key] = now
        if tally is None or (rested and key not in self._changed):
            tally = self._tallies[key] = self._tally(guard, ladder)
            # Pids come again; a tally must replace those of its own process only.
            self._names[key] = f"{process_name()}/{secrets.token_hex(4)}"
        return tally

    def _row(self, key: Key) -> ShadowTally:
        document = self._tallies[key].document()
        return ShadowTally(
            run=self._run.key,
            function=key[0],
            incumbent=key[1],
            process=self._names[key],
            body=json.dumps(document, ensure_ascii=False, separators=(",", ":")),
            at=self._run.clock.time(),
        )

    def _tally(self, guard: Guard, ladder: Ladder) -> Tally:
        options = self._run.options
        return Tally(
            ladder,
            content=options.content,
            clustered=bool(options.cluster),
            redact=self._keeping.redact_of(guard),
        )

    def _ladder(self, guard: Guard) -> Ladder:
        ladder = self._ladders.get(guard.name)
        if ladder is None:
            ladder = self._ladders[guard.name] = ladder_of(guard)
        return ladder
