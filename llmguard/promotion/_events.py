"""What happened to routes, told to the store's log of events."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ..errors import LLMGuardError
from ..store import Event, Store
from ..telemetry.activity import process_name

__all__ = ["tell"]


def tell(
    store: Store,
    kind: str,
    *,
    env: str,
    route: str,
    pin: str,
    detail: Mapping[str, object],
) -> None:
    """Add an event; the ledger is the record, so a log that fails stops nothing."""
    event = Event(
        env=env,
        route=route,
        pin=pin,
        kind=kind,
        process=process_name(),
        detail=dict(detail),
    )
    with contextlib.suppress(LLMGuardError):
        store.events.add(event)
