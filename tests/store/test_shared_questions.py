"""Many callers ask the same at the same moment, on both backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from llmguard.errors import QueueError
from llmguard.store import NewTicket, QueueFullError, Store, TicketRecord
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
CALLERS = 8


def _at_once(store: Store, tickets: list[NewTicket]) -> list[object]:
    """Enqueue all at the same moment, each by a thread of its own."""
    start = Barrier(len(tickets))

    def ask(new: NewTicket) -> object:
        start.wait()
        try:
            return store.tickets.enqueue(new)
        except QueueError as error:
            return error

    with ThreadPoolExecutor(len(tickets)) as pool:
        return list(pool.map(ask, tickets))


def test_one_key_is_one_ticket(store: Store, new_ticket: New) -> None:
    """However many retry at once."""
    for number in range(10):
        new = new_ticket(coalesce=False)
        again = [
            dataclasses.replace(new, id=f"{new.id}-{number}-{one}")
            for one in range(CALLERS)
        ]
        found = _at_once(store, again)
        assert 1 == sum(one.created for one in found)  # type: ignore[attr-defined]  # no error came back
        assert 1 == len({one.ticket.id for one in found})  # type: ignore[attr-defined]  # no error came back
    assert {"triage": {"open": 10}} == store.tickets.counts()


def test_equal_questions_share_a_ticket(store: Store, new_ticket: New) -> None:
    """Other keys, the same content: one ticket, with all of them waiting."""
    for number in range(10):
        content = f"f{number}"
        same = [new_ticket(fingerprint=content) for _ in range(CALLERS)]
        found = _at_once(store, same)
        assert 1 == sum(one.created for one in found)  # type: ignore[attr-defined]  # no error came back
        ids = {one.ticket.id for one in found}  # type: ignore[attr-defined]  # no error came back
        assert 1 == len(ids)
        assert CALLERS == store.tickets.get(ids.pop()).waiters


def test_a_full_queue_is_exactly_full(store: Store, new_ticket: New) -> None:
    """The limit holds to the ticket."""
    for _ in range(5):
        found = _at_once(store, [new_ticket(max_open=13) for _ in range(CALLERS)])
        refused = [one for one in found if isinstance(one, Exception)]
        assert all(isinstance(one, QueueFullError) for one in refused)
    assert {"triage": {"open": 13}} == store.tickets.counts()


def test_one_answer_counts(store: Store, new_ticket: New) -> None:
    """Of eight reviewers who answer a free ticket at once, one is thanked."""
    for _ in range(10):
        ticket = store.tickets.enqueue(new_ticket(schema=None)).ticket
        start = Barrier(CALLERS)

        def answer(
            who: int, ticket: TicketRecord = ticket, start: Barrier = start
        ) -> bool:
            start.wait()
            try:
                store.tickets.answer(ticket.id, who, reviewer=str(who))
            except QueueError:
                return False
            return True

        with ThreadPoolExecutor(CALLERS) as pool:
            assert 1 == sum(pool.map(answer, range(CALLERS)))
        events = [one.event for one in store.tickets.events(ticket.id)]
        assert 1 == events.count("answered")


def test_sweepers_do_not_get_in_each_others_way(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Eight sweep the same lapsed tickets: each is expired once, nobody fails."""
    now = clock.time()
    for _ in range(40):
        store.tickets.enqueue(new_ticket(expires_at=now + 1.0))
    clock.advance(2.0)
    start = Barrier(CALLERS)

    def sweep(_: int) -> int:
        start.wait()
        return store.tickets.sweep()

    with ThreadPoolExecutor(CALLERS) as pool:
        assert 40 == sum(pool.map(sweep, range(CALLERS)))
    assert {"triage": {"expired": 40}} == store.tickets.counts()
