"""How tickets get in and in which order they get out, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.store import (
    CLOSED,
    IdempotencyError,
    NewTicket,
    QueueFullError,
    Store,
    TicketState,
)
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
ANSWER = {"category": "billing"}


def test_same_key_is_the_same_ticket(store: Store, new_ticket: New) -> None:
    """A retried call finds its ticket, under the new id it may have handed out too."""
    first = store.tickets.enqueue(new_ticket(key="k", fingerprint="f"))
    again = store.tickets.enqueue(new_ticket(key="k", fingerprint="f"))
    assert (first.created, again.created, again.coalesced) == (True, False, False)
    assert again.ticket.id == first.ticket.id
    assert store.tickets.get("t0002").id == first.ticket.id
    assert store.tickets.get("k").id == first.ticket.id
    assert store.tickets.counts() == {"triage": {"open": 1}}


def test_same_key_after_the_end_is_still_the_same(
    store: Store, new_ticket: New
) -> None:
    """A key never asks twice, not even once its ticket is answered."""
    first = store.tickets.enqueue(new_ticket(key="k", fingerprint="f")).ticket
    store.tickets.answer(first.id, ANSWER, reviewer="ann")
    again = store.tickets.enqueue(new_ticket(key="k", fingerprint="f")).ticket
    assert (again.id, again.state) == (first.id, TicketState.ANSWERED)


def test_same_key_with_other_content_is_refused(store: Store, new_ticket: New) -> None:
    """A reused key is a bug of the caller, and says so."""
    store.tickets.enqueue(new_ticket(key="k"))
    with pytest.raises(IdempotencyError, match="with other content"):
        store.tickets.enqueue(new_ticket(key="k"))


def test_keys_belong_to_a_queue(store: Store, new_ticket: New) -> None:
    """The same key in another queue is another ticket."""
    store.tickets.enqueue(new_ticket(key="k"))
    assert store.tickets.enqueue(new_ticket(key="k", queue="other")).created


def test_identical_questions_share_a_ticket(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """The shared ticket becomes as urgent as the most urgent who waits for it."""
    now = clock.time()
    first = store.tickets.enqueue(
        new_ticket(fingerprint="f", due_at=now + 9, expires_at=now + 90)
    )
    second = store.tickets.enqueue(
        new_ticket(fingerprint="f", priority=5, due_at=now + 5, expires_at=now + 99)
    )
    assert (second.created, second.coalesced) == (False, True)
    assert second.ticket.id == first.ticket.id
    found = second.ticket
    assert (found.waiters, found.priority, found.due_at, found.expires_at) == (
        2,
        5,
        now + 5,
        now + 99,
    )
    forever = store.tickets.enqueue(new_ticket(fingerprint="f")).ticket
    assert (forever.due_at, forever.expires_at) == (now + 5, None)
    assert store.tickets.get("key-2").id == first.ticket.id


def test_what_is_not_shared(store: Store, new_ticket: New, clock: VirtualClock) -> None:
    """Closed, expired, other roles', other queues' and declined twins stay apart."""
    first = store.tickets.enqueue(
        new_ticket(fingerprint="f", expires_at=clock.time() + 10)
    ).ticket
    assert store.tickets.enqueue(new_ticket(fingerprint="f", queue="other")).created
    assert store.tickets.enqueue(new_ticket(fingerprint="f", role="lead")).created
    assert store.tickets.enqueue(new_ticket(fingerprint="f", coalesce=False)).created
    store.tickets.cancel("t0004", actor="app", reason="test")
    clock.advance(10)
    assert store.tickets.enqueue(new_ticket(fingerprint="f")).created
    store.tickets.answer("t0005", ANSWER, reviewer="ann")
    assert store.tickets.enqueue(new_ticket(fingerprint="f")).created
    assert store.tickets.get(first.id).waiters == 1


def test_claimed_ticket_is_still_shared(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """A question somebody is working on is not asked again, expired or not."""
    first = store.tickets.enqueue(
        new_ticket(fingerprint="f", expires_at=clock.time() + 10)
    ).ticket
    store.tickets.claim(reviewer="ann", lease=900)
    clock.advance(20)
    assert store.tickets.enqueue(new_ticket(fingerprint="f")).ticket.id == first.id


def test_full_queue_refuses(store: Store, new_ticket: New, clock: VirtualClock) -> None:
    """Admission counts open and claimed tickets, not expired ones nor other queues."""
    store.tickets.enqueue(new_ticket(max_open=2, expires_at=clock.time() + 10))
    store.tickets.enqueue(new_ticket(max_open=2))
    store.tickets.claim(reviewer="ann", ticket_id="t0002")
    with pytest.raises(QueueFullError, match="already holds 2") as caught:
        store.tickets.enqueue(new_ticket(max_open=2))
    assert (caught.value.queue, caught.value.limit) == ("triage", 2)
    assert store.tickets.enqueue(new_ticket(queue="other", max_open=2)).created
    clock.advance(10)
    assert store.tickets.enqueue(new_ticket(max_open=2)).created


def test_full_queue_still_coalesces(store: Store, new_ticket: New) -> None:
    """A call that needs no new ticket needs no room for one."""
    store.tickets.enqueue(new_ticket(fingerprint="f", max_open=1))
    assert store.tickets.enqueue(new_ticket(fingerprint="f", max_open=1)).coalesced


def test_order_of_work(store: Store, new_ticket: New, clock: VirtualClock) -> None:
    """Priority first, then what is due, then age; over queues and roles alike."""
    now = clock.time()
    wanted = [
        new_ticket(id="c", priority=9, queue="other", role="lead"),
        new_ticket(id="d", priority=1, due_at=now + 1),
        new_ticket(id="b", priority=1, due_at=now + 2, role="lead"),
        new_ticket(id="a", priority=1, queue="other"),
        new_ticket(id="e", priority=1),
    ]
    for new in reversed(wanted):
        store.tickets.enqueue(new)
    ids = [new.id for new in wanted]
    assert [one.id for one in store.tickets.list()] == ids
    assert [one.id for one in store.tickets.list(limit=2)] == ids[:2]
    taken = []
    while (ticket := store.tickets.claim(reviewer="ann", roles=["lead"])) is not None:
        taken.append(ticket.id)
    assert taken == ids
    assert [one.id for one in store.tickets.list()] == ids


def test_claim_from_one_queue(store: Store, new_ticket: New) -> None:
    """A reviewer of one queue is not handed another's tickets."""
    store.tickets.enqueue(new_ticket(queue="other"))
    assert store.tickets.claim(reviewer="ann", queue="triage") is None
    assert store.tickets.claim(reviewer="ann", queue="other") is not None


def test_list_of_closed_tickets(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Closed tickets come last, the latest first."""
    for _ in range(3):
        store.tickets.enqueue(new_ticket())
    store.tickets.answer("t0001", ANSWER, reviewer="ann")
    clock.advance(1)
    store.tickets.reject("t0003", reviewer="ann", reason="no")
    everything = store.tickets.list(states=frozenset(TicketState), queue="triage")
    assert [one.id for one in everything] == ["t0002", "t0003", "t0001"]
    closed = store.tickets.list(states=CLOSED)
    assert [one.id for one in closed] == ["t0003", "t0001"]


def test_find_by_part(store: Store, new_ticket: New) -> None:
    """The beginning or the end of an id finds it; wildcards find nothing."""
    store.tickets.enqueue(new_ticket(id="abc123"))
    store.tickets.enqueue(new_ticket(id="abd999"))
    assert list(store.tickets.find("123")) == ["abc123"]
    assert list(store.tickets.find("ab")) == ["abd999", "abc123"]
    assert list(store.tickets.find("%")) == []


def test_counts_follow_every_step(store: Store, new_ticket: New) -> None:
    """Kept counts equal counted ones."""
    for _ in range(4):
        store.tickets.enqueue(new_ticket())
    store.tickets.claim(reviewer="ann")
    store.tickets.answer("t0002", ANSWER, reviewer="ann")
    store.tickets.enqueue(new_ticket(queue="other"))
    assert store.tickets.counts() == {
        "triage": {"open": 2, "claimed": 1, "answered": 1},
        "other": {"open": 1},
    }
    assert store.tickets.counts("other") == {"other": {"open": 1}}


def test_stats(store: Store, new_ticket: New, clock: VirtualClock) -> None:
    """Age, lateness, medians and lost leases come out as they were."""
    now = clock.time()
    for _ in range(3):
        store.tickets.enqueue(new_ticket(due_at=now + 60))
    clock.advance(10)
    held = store.tickets.claim(reviewer="ann", lease=5)
    assert held is not None
    clock.advance(20)
    store.tickets.answer(held.id, ANSWER, reviewer="bob")
    clock.advance(70)
    (found,) = store.tickets.stats("triage")
    assert (found.oldest, found.late) == (100.0, 2)
    assert (found.to_claim, found.to_close, found.lease_losses) == (10.0, 30.0, 1)
    assert found.counts == {"open": 2, "answered": 1}
    clock.advance(86400)
    (later,) = store.tickets.stats()
    assert (later.to_claim, later.to_close) == (None, None)


def test_stats_of_nothing_waiting(store: Store, new_ticket: New) -> None:
    """A queue without waiting tickets has no oldest one."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.cancel(ticket.id, actor="app", reason="test")
    (found,) = store.tickets.stats()
    assert (found.oldest, found.to_claim, found.to_close) == (None, None, None)
