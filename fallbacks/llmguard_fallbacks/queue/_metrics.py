"""A store's queues among this process's metrics, for Prometheus and OpenTelemetry."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.store import Store
from llmguard.telemetry.families import Family, add_source

from ._store import StoreLike, opened

__all__ = ["export_metrics"]

_FRESH: Final = 5.0


class _Source:
    """Gives the families, read from the store at most every few seconds."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._found: Sequence[Family] = ()
        self._until = float("-inf")

    def __call__(self) -> Sequence[Family]:
        from llmguard.monitor.metrics import queue_families

        with self._lock:
            now = self._clock.monotonic()
            if now >= self._until:
                self._found = queue_families(self._store)
                self._until = now + _FRESH
            return self._found


def export_metrics(store: StoreLike = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Show a store's queues in this process's metrics.

    Call it in one process, before `otel.enable()`: the figures are the store's, the
    same from every process. `llmguard metrics` has them anyway.

    Args:
        store: The store or its URL; None for the configured one.
        clock: Says when figures are old; they are read every 5 s at most.

    Raises:
        ConfigError: The URL is none of a store.
        StoreError: The store is not there, or cannot be opened.
    """
    add_source(_Source(opened(store), clock))
