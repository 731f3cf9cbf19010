"""What a process has compared so far on one run, by function and incumbent."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ._keep import Keeping
from ._spec import ladder_of

if TYPE_CHECKING:
    from ...guard import Guard
    from .._draw import Pair
    from .._ladder import Ladder
    from ._run import LiveRun
    from ._work import Work

__all__ = ["Comparing"]


class Comparing:
    """Compares the pairs of one run and hands their stored form on.

    Args:
        run: The run.

    Raises:
        ConfigError: A function that redacts cannot be imported.
    """

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._keeping = Keeping(run)
        self._lock = threading.Lock()
        self._ladders: dict[str, Ladder] = {}

    def take(self, work: Work, pair: Pair) -> None:
        """Compare a pair, count it, and keep its row."""
        ladder = self._ladder(work.guard)
        found = None if pair.b.lost else ladder.compare(pair.a, pair.b)
        self._run.counts.keep(self._keeping.row(work, pair, found))

    def _ladder(self, guard: Guard) -> Ladder:
        with self._lock:
            ladder = self._ladders.get(guard.name)
            if ladder is None:
                ladder = self._ladders[guard.name] = ladder_of(guard)
            return ladder
