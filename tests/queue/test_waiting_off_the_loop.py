"""Awaiting a ticket leaves the event loop to others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest

from llmguard.store import NewTicket, SqliteStore, Store
from llmguard_fallbacks import get_ticket


class _Watched:
    """A store that notes which threads ask for its version."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.threads: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def version(self) -> int:
        self.threads.add(threading.get_ident())
        return self._store.version()


def test_a_server_is_asked_off_the_loop(store: Store) -> None:
    """It may be far, or away for seconds; a file answers at once, one thread's view."""
    new = NewTicket(id="t1", queue="q", key="k", fingerprint="f", inputs={})
    store.tickets.enqueue(new)
    watched = _Watched(store)
    ticket = get_ticket("t1", store=cast("Store", watched))

    async def main() -> object:
        with pytest.raises(TimeoutError):
            await ticket.result(0.3)
        waiting = asyncio.create_task(ticket.result(20))
        await asyncio.to_thread(store.tickets.answer, "t1", {"a": 1}, reviewer="ann")
        return await waiting

    assert {"a": 1} == asyncio.run(main())
    here = threading.get_ident() in watched.threads
    assert isinstance(store, SqliteStore) is here
