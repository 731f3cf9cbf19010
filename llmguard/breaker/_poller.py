"""The thread that exchanges news with the store."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

if TYPE_CHECKING:
    from .registry import BreakerRegistry

__all__ = ["Poller"]


class Poller:
    """Calls `registry.sync` every `interval` seconds while the registry lives."""

    __slots__ = ("_stop", "_thread")

    def __init__(self, registry: BreakerRegistry, interval: float) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=_poll,
            args=(ref(registry), self._stop, interval),
            name="llmguard-breakers",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stop.set()
        self._thread.join()


def _poll(
    registry: ReferenceType[BreakerRegistry], stop: threading.Event, interval: float
) -> None:
    while not stop.wait(interval):
        alive = registry()
        if alive is None:
            return
        alive.sync()
        # Held between polls, it would keep the registry alive for ever.
        del alive
