"""Callbacks of a ticket that is opened again wait for its next end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.store import NewTicket, Store, TicketState
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
URL = "https://example.org/hook"


@pytest.mark.parametrize("tried", [False, True])
def test_a_revived_ticket_tells_nobody_yet(
    store: Store,
    new_ticket: New,
    clock: VirtualClock,
    tried: bool,
) -> None:
    """Neither one that was due nor one that was given up is sent while it is open."""
    new = new_ticket(callback=URL, expires_at=clock.time() + 5)
    store.tickets.enqueue(new)
    clock.advance(6)
    assert 1 == store.tickets.sweep()
    if tried:
        one = store.callbacks.take()
        assert one is not None
        assert store.callbacks.failed(one, result="HTTP 400", retry=None)
    back = store.tickets.revive(new.id, actor="lead", reason="late")
    assert TicketState.OPEN is back.state
    assert store.callbacks.take() is None
    (row,) = store.callbacks.list(ticket_id=new.id, states=["waiting"])
    assert URL == row.url
    store.tickets.answer(new.id, {"category": "billing"}, reviewer="ann")
    sent = store.callbacks.take()
    assert sent is not None
    assert (row.id, 1) == (sent.id, sent.attempts)


def test_what_is_sent_while_a_ticket_is_revived_counts_for_nothing(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Its end was none, so whoever was told of it is told of the next one."""
    new = new_ticket(callback=URL, expires_at=clock.time() + 5)
    store.tickets.enqueue(new)
    clock.advance(6)
    store.tickets.sweep()
    running = store.callbacks.take()
    assert running is not None
    store.tickets.revive(new.id, actor="lead", reason="late")
    assert not store.callbacks.sent(running, result="HTTP 200")
    store.tickets.cancel(new.id, actor="app", reason="x")
    assert store.callbacks.take() is not None


def test_a_sweep_of_nothing_writes_nothing(store: Store, new_ticket: New) -> None:
    """Whoever looks at the time every second wakes nobody."""
    store.tickets.enqueue(new_ticket())
    heard: list[int] = []
    stop = store.listen(lambda: heard.append(1))
    assert 0 == store.tickets.sweep()
    stop()
    assert [] == heard
