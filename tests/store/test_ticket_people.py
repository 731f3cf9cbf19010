"""How people share tickets out, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from store_backends import raw

from llmguard.errors import QueueError
from llmguard.store import (
    AssignedError,
    Expiry,
    LeaseLostError,
    NewTicket,
    RoleRequiredError,
    Store,
    TicketState,
    TicketStateError,
    page_cursor,
)
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
ANSWER = {"category": "billing"}
PARTS = ["bodies", "events", "opinions", "skips", "callbacks", "labels", "cases"]
TABLES = ["tickets", *(f"ticket_{part}" for part in PARTS)]


def _last(store: Store, ticket_id: str) -> tuple[str, str, str]:
    one = store.tickets.events(ticket_id)[-1]
    return one.event, one.actor, one.detail


def test_a_skipped_ticket_comes_back_last(store: Store, new_ticket: New) -> None:
    """Its reviewer sees everything else first; others see it in its place."""
    first = store.tickets.enqueue(new_ticket(priority=9)).ticket
    second = store.tickets.enqueue(new_ticket()).ticket
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    assert held.id == first.id
    skipped = store.tickets.skip(
        first.id, reviewer="ann", reason="not my field", token=held.lease_token
    )
    assert (skipped.state, skipped.claimed_by) == (TicketState.OPEN, "")
    assert _last(store, first.id) == ("skipped", "ann", "not my field")
    order = [store.tickets.claim(reviewer="ann") for _ in range(2)]
    assert [second.id, first.id] == [one.id for one in order if one]
    store.tickets.release(first.id, actor="ann", reason="again")
    other = store.tickets.claim(reviewer="bob")
    assert other is not None
    assert other.id == first.id


def test_a_skip_without_a_claim_ends_nobodys_turn(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """A late answer of the last holder still counts after somebody's skip."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    held = store.tickets.claim(reviewer="ann", lease=10)
    assert held is not None
    clock.advance(11)
    store.tickets.skip(ticket.id, reviewer="bob", reason="later")
    done = store.tickets.answer(
        ticket.id, ANSWER, reviewer="ann", token=held.lease_token
    )
    assert done.state is TicketState.ANSWERED


def test_a_held_ticket_is_not_skipped_by_others(store: Store, new_ticket: New) -> None:
    """Nor by the holder's old token."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.claim(reviewer="ann")
    with pytest.raises(LeaseLostError):
        store.tickets.skip(ticket.id, reviewer="bob", reason="x")
    with pytest.raises(LeaseLostError):
        store.tickets.skip(ticket.id, reviewer="bob", reason="x", token="t" * 12)


def test_a_stolen_ticket_answers_to_the_thief_alone(
    store: Store, new_ticket: New
) -> None:
    """The token before is fenced off, and the history says who took it and why."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    taken = store.tickets.steal(ticket.id, reviewer="bob", reason="ann went home")
    assert (taken.claimed_by, taken.claims) == ("bob", 2)
    assert _last(store, ticket.id) == ("stolen", "bob", "from ann: ann went home")
    with pytest.raises(LeaseLostError, match="now with 'bob'"):
        store.tickets.answer(ticket.id, ANSWER, reviewer="ann", token=held.lease_token)
    store.tickets.answer(ticket.id, ANSWER, reviewer="bob", token=taken.lease_token)


def test_stealing_needs_the_role(store: Store, new_ticket: New) -> None:
    """Held or free; and a closed ticket is nobody's."""
    ticket = store.tickets.enqueue(new_ticket(role="lead")).ticket
    with pytest.raises(RoleRequiredError):
        store.tickets.steal(ticket.id, reviewer="bob", reason="x")
    store.tickets.claim(reviewer="ann", roles=["lead"])
    with pytest.raises(RoleRequiredError):
        store.tickets.steal(ticket.id, reviewer="bob", reason="x")
    store.tickets.cancel(ticket.id, actor="app", reason="x")
    with pytest.raises(TicketStateError):
        store.tickets.steal(ticket.id, reviewer="bob", reason="x", roles=["lead"])


def test_an_assigned_ticket_is_left_to_its_person(
    store: Store, new_ticket: New
) -> None:
    """Others neither get it next nor by id, unless they steal it with a reason."""
    ticket = store.tickets.enqueue(new_ticket(assignee="ann", priority=9)).ticket
    other = store.tickets.enqueue(new_ticket()).ticket
    mine = store.tickets.claim(reviewer="bob")
    assert mine is not None
    assert mine.id == other.id
    assert store.tickets.claim(reviewer="bob") is None
    with pytest.raises(AssignedError, match="kept for 'ann'"):
        store.tickets.claim(reviewer="bob", ticket_id=ticket.id)
    with pytest.raises(AssignedError):
        store.tickets.answer(ticket.id, ANSWER, reviewer="bob")
    taken = store.tickets.steal(ticket.id, reviewer="bob", reason="urgent")
    assert (taken.claimed_by, taken.assignee) == ("bob", "")
    assert _last(store, ticket.id)[2] == "from ann: urgent"


def test_assigning_and_giving_back(store: Store, new_ticket: New) -> None:
    """A lease goes on; whoever skips what was theirs gives it to all."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.assign(ticket.id, to="ann", actor="lead", reason="knows it")
    assert _last(store, ticket.id) == ("assigned", "lead", "to ann: knows it")
    assert [ticket.id] == [one.id for one in store.tickets.list(assignee="ann")]
    assert [] == list(store.tickets.list(assignee="bob"))
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    assert [ticket.id] == [one.id for one in store.tickets.list(holder="ann")]
    store.tickets.assign(ticket.id, to="bob", actor="lead")
    store.tickets.release(ticket.id, actor="ann", token=held.lease_token)
    assert store.tickets.claim(reviewer="ann") is None
    assert store.tickets.skip(ticket.id, reviewer="bob", reason="no").assignee == ""
    assert store.tickets.claim(reviewer="ann") is not None
    store.tickets.cancel(ticket.id, actor="app", reason="x")
    with pytest.raises(TicketStateError):
        store.tickets.assign(ticket.id, to="ann", actor="lead")


def test_a_dead_ticket_is_revived(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """With all its leases again; the token of its last holder is of no use."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    token = ""
    for _ in range(5):
        held = store.tickets.claim(reviewer="ann", lease=1)
        assert held is not None
        token = held.lease_token
        clock.advance(2)
    store.tickets.sweep()
    assert store.tickets.get(ticket.id).state is TicketState.DEAD
    back = store.tickets.revive(ticket.id, actor="lead", reason="the form was broken")
    assert (back.state, back.losses, back.note) == (TicketState.OPEN, 0, "")
    assert _last(store, ticket.id)[:2] == ("revived", "lead")
    with pytest.raises(QueueError):
        store.tickets.answer(ticket.id, ANSWER, reviewer="ann", token=token)
    with pytest.raises(TicketStateError):
        store.tickets.revive(ticket.id, actor="lead", reason="x")
    store.tickets.answer(ticket.id, ANSWER, reviewer="bob")
    assert {"answered": 1} == store.tickets.counts()["triage"]


def test_expiry_with_a_declared_value(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """The caller gets it, and the record says that no person gave it."""
    value = {"category": "shipping"}
    new = new_ticket(
        expires_at=clock.time() + 5, expiry=Expiry(do="answer", value=value)
    )
    store.tickets.enqueue(new)
    clock.advance(6)
    assert store.tickets.sweep() == 1
    ended = store.tickets.get(new.id)
    assert (ended.state, ended.answer, ended.closed_by) == (
        TicketState.EXPIRED,
        value,
        "",
    )
    back = store.tickets.revive(new.id, actor="lead", reason="late")
    assert (back.answered, back.expires_at) == (False, None)


def test_expiry_that_escalates(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """To another role, for a time of its own, counted there; then it expires."""
    new = new_ticket(
        expires_at=clock.time() + 5,
        assignee="ann",
        expiry=Expiry(do="escalate", role="lead", seconds=10),
    )
    store.tickets.enqueue(new)
    clock.advance(6)
    assert store.tickets.sweep() == 1
    up = store.tickets.get(new.id)
    assert (up.state, up.role, up.assignee) == (TicketState.OPEN, "lead", "")
    assert _last(store, new.id)[0] == "escalated"
    assert store.tickets.claim(reviewer="bob") is None
    held = store.tickets.claim(reviewer="bob", roles=["lead"])
    assert held is not None
    store.tickets.release(new.id, actor="bob", token=held.lease_token)
    clock.advance(11)
    assert store.tickets.sweep() == 1
    assert store.tickets.get(new.id).state is TicketState.EXPIRED
    assert {"expired": 1} == store.tickets.counts()["triage"]


def test_purge_keeps_the_skeleton(
    store: Store, store_url: str, new_ticket: New, clock: VirtualClock
) -> None:
    """What people and models wrote is gone from every table; what happened is not."""
    secret = "4929-1234"
    new = new_ticket(
        inputs={"ticket": secret},
        outputs=({"tier": "m", "kind": "semantic", "value": {"x": secret}},),
        reasons=({"tier": "m", "detail": secret},),
        labels={"who": secret},
        schema=None,
        title=secret,
        instructions=secret,
        function="app.f",
        callback=f"https://example.org/{secret}",
    )
    store.tickets.enqueue(new)
    store.tickets.skip(new.id, reviewer="bob", reason=secret)
    store.tickets.answer(new.id, {"x": [secret]}, reviewer="ann")
    waiting = store.tickets.enqueue(new_ticket(inputs={"ticket": "kept"})).ticket
    clock.advance(100)
    purge = store.tickets.purge
    assert purge(closed_before=clock.time() - 200, actor="lead") == 0
    assert purge(closed_before=clock.time(), actor="lead") == 1
    assert purge(closed_before=clock.time(), actor="lead") == 0
    left = store.tickets.get(new.id)
    assert (left.state, left.answered, left.purged_at) == (
        TicketState.ANSWERED,
        False,
        clock.time(),
    )
    names = [one.event for one in store.tickets.events(new.id)]
    assert names == ["enqueued", "skipped", "claimed", "answered", "purged"]
    assert store.tickets.get(waiting.id).inputs == {"ticket": "kept"}
    with raw(store_url) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - its names
            assert secret not in repr([tuple(row) for row in rows]), table


@pytest.mark.parametrize("size", [1, 3])
def test_pages_of_the_list(
    store: Store, new_ticket: New, clock: VirtualClock, size: int
) -> None:
    """Page by page the same as all at once, waiting first and then closed."""
    for number in range(8):
        due = None if number % 3 else clock.time() + number
        role = "lead" if number % 2 else ""
        store.tickets.enqueue(new_ticket(priority=number % 2, due_at=due, role=role))
        clock.advance(1)
    for number in range(1, 5):
        store.tickets.cancel(f"t{number:04}", actor="app", reason="x")
        clock.advance(number % 2)
    every = list(TicketState)
    whole = [one.id for one in store.tickets.list(states=every)]
    pages, after = list[str](), ""
    while page := store.tickets.list(states=every, limit=size, after=after):
        pages += [one.id for one in page]
        after = page_cursor(page[-1])
    assert (len(whole), pages) == (8, whole)


@pytest.mark.parametrize(
    "text", ["x", "7", "[]", '["w"]', '["w",1,2]', '["c",null,"t"]', '["w",1,2,3]']
)
def test_a_cursor_that_is_none_is_refused(store: Store, text: str) -> None:
    with pytest.raises(QueueError, match="`after`"):
        store.tickets.list(after=text)


def test_the_tail_of_all_events(store: Store, new_ticket: New) -> None:
    """In order, from any number on."""
    assert store.tickets.last_seq() == 0
    first = store.tickets.enqueue(new_ticket()).ticket
    start = store.tickets.last_seq()
    store.tickets.enqueue(new_ticket())
    store.tickets.cancel(first.id, actor="app", reason="x")
    assert [one.event for one in store.tickets.tail(start)] == ["enqueued", "cancelled"]
    assert len(store.tickets.tail(0, limit=2)) == 2
