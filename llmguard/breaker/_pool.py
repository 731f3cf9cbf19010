"""Behaviour seen by all processes, so that eight workers notice as soon as one would.

Each process publishes how many distinct inputs it has judged per version, and how many
broke the contract; each adds the growth of the others to its own detector. An input
that two workers met counts twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..store.protocol import BreakerStore
    from .version import VersionBreaker

__all__ = ["Pool"]

_Totals = tuple[int, int]
_NOTHING: Final = (0, 0)


class Pool:
    """One registry's share in the counts of all; used from one thread at a time."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Start as another process, as a forked child does."""
        self._me = f"{os.getpid()}-{os.urandom(8).hex()}"
        self._told: dict[str, _Totals] = {}
        self._known: dict[tuple[str, str], _Totals] | None = None

    def forget(self) -> None:
        """Take the next store's counts as they are, without adding them."""
        self._known = None
        self._told = {}

    def exchange(self, store: BreakerStore, breakers: Iterable[VersionBreaker]) -> None:
        """Publish what grew here, and add what grew elsewhere."""
        watching = {each.key: each for each in breakers if each.policy.behaviour}
        if not watching:
            return
        mine = {key: each.own_counts for key, each in watching.items()}
        news = {k: t for k, t in mine.items() if t != self._told.get(k, _NOTHING)}
        if news:
            store.put_breaker_counts(self._me, news)
            self._told |= news
        first, known = self._known is None, self._known or {}
        grown: dict[str, list[int]] = {}
        for row in store.breaker_counts():
            if row.process == self._me:
                continue
            place = (row.key, row.process)
            before = known.get(place, _NOTHING)
            known[place] = (row.calls, row.fails)
            calls, fails = row.calls - before[0], row.fails - before[1]
            # What was there when this process came is not news: its detector starts
            # afresh, as after every release.
            if not first and row.key in watching and 0 <= fails <= calls and calls:
                sums = grown.setdefault(row.key, [0, 0])
                sums[0] += calls
                sums[1] += fails
        self._known = known
        for key, (calls, fails) in grown.items():
            watching[key].observe_batch(calls=calls, fails=fails)
