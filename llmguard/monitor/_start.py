"""The monitor of the process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..guard import on_exchange
from ..store import Store
from ._monitor import Monitor
from ._respond import Responder

__all__ = ["current", "start", "stop"]

_lock = threading.Lock()
_current: Monitor | None = None


def start(
    *,
    canaries: Mapping[str, Sequence[Mapping[str, object]]] | None = None,
    on_change: Literal["unaccepted", "never"] = "unaccepted",
    probes: bool = True,
    rollback: bool = True,
    postmortems: str | Path | None = None,
    **options: Any,
) -> Monitor:
    """Watch this process's guarded functions; a second call changes nothing.

    Args:
        canaries: Inputs by function name for paired probes; recent ones by default.
        on_change: See `Responder`.
        probes: False to only tell of drift.
        rollback: False to only tell of quarantines too: people decide everything.
        postmortems: Folder for the post-mortem that is written at a rollback.
        options: As `Monitor` takes them.

    Returns:
        The monitor of the process.

    Raises:
        ConfigError: numpy is missing, or an option makes no sense.
    """
    global _current  # noqa: PLW0603 - one monitor per process
    with _lock:
        if _current is None:
            responder = None
            if rollback:
                responder = Responder(
                    canaries=canaries,
                    on_change=on_change,
                    probes=probes,
                    postmortems=postmortems,
                )
            _current = Monitor(responder=responder, **options).start()
            on_exchange(_use_store)
        return _current


def stop() -> None:
    """Stop watching, after a last look at what waits."""
    global _current
    with _lock:
        found, _current = _current, None
    if found is not None:
        found.stop()


def current() -> Monitor | None:
    """Return the monitor of the process, or None."""
    return _current


def _use_store(store: Store) -> None:
    monitor = _current
    if monitor is not None and monitor.store is None:
        monitor.use_store(store)
