"""The side of a breaker that the registry exchanges with the store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..clock import Clock
from ._events import Delivery
from ._machine import AUTOMATIC, Machine
from ._share import Share

if TYPE_CHECKING:
    from ..store.protocol import BreakerRow

__all__ = ["StoreSide"]


class StoreSide:
    """What `VersionBreaker` tells the store, and what it takes over from there."""

    _lock: threading.RLock
    _clock: Clock
    _machine: Machine
    _share: Share
    _events: Delivery
    wake: Callable[[], object]

    @property
    def unpublished(self) -> bool:
        """True while the store has not got the local state."""
        return self._share.dirty

    @property
    def protected(self) -> bool:
        """True while a person or a quarantine holds it, and evidence cannot move it."""
        return self._machine.state not in AUTOMATIC

    @property
    def own_counts(self) -> tuple[int, int]:
        """Distinct inputs judged by this process, and those that broke the contract."""
        with self._lock:
            return self._machine.own_calls, self._machine.own_fails

    def row(self) -> tuple[BreakerRow, int]:
        """Return the row to write, and the generation it describes."""
        with self._lock:
            return self._share.row(), self._machine.generation

    def published(self, row: BreakerRow, generation: int) -> None:
        """Note what the store holds now."""
        with self._lock:
            self._share.published(row, generation)

    def adopt(self, row: BreakerRow | None) -> None:
        """Take over what another process wrote; None: the store holds nothing."""
        with self._lock:
            if row is None:
                self._share.lost()
            else:
                self._share.adopt(row, self._clock.monotonic())
        self._events.drain()

    def reserve_probes(self, *, by_store: bool, wake: Callable[[], object]) -> None:
        """Half-open only once the store has reserved it, or as soon as time is up.

        Args:
            by_store: The store reserves; False while it is down.
            wake: Called when a call waits for a probe; it must return at once.
        """
        self.wake = wake
        self._machine.reserves = by_store

    def probing(self) -> BreakerRow | None:
        """Return the row that reserves the probes; None when nobody waits for one."""
        with self._lock:
            return self._share.probing(self._clock.monotonic())

    def probe_now(self, row: BreakerRow) -> None:
        """Half-open: the store has reserved the probes for this process."""
        with self._lock:
            machine, now = self._machine, self._clock.monotonic()
            if machine.half_open(now, machine.reason, row.actor):
                self._share.published(row, machine.generation)
        self._events.drain()
