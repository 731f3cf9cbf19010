"""What a ticket can become, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.errors import QueueError
from llmguard.store import (
    AnswerRefusedError,
    LeaseLostError,
    NewTicket,
    RoleRequiredError,
    Store,
    TicketState,
    TicketStateError,
    TicketUnknownError,
)
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
ANSWER = {"category": "billing", "order_id": None}


def _steps(store: Store, ticket_id: str) -> list[tuple[str, str, str]]:
    return [
        (one.event, one.from_state, one.to_state)
        for one in store.tickets.events(ticket_id)
    ]


def test_whole_life(store: Store, new_ticket: New) -> None:
    """A ticket goes open, claimed, answered, delivered, one event row each."""
    store.tickets.enqueue(new_ticket())
    claimed = store.tickets.claim(reviewer="ann")
    assert claimed is not None
    answered = store.tickets.answer(
        claimed.id, ANSWER, reviewer="ann", token=claimed.lease_token
    )
    delivered = store.tickets.deliver(claimed.id)
    assert [claimed.state, answered.state, delivered.state] == [
        TicketState.CLAIMED,
        TicketState.ANSWERED,
        TicketState.DELIVERED,
    ]
    assert _steps(store, claimed.id) == [
        ("enqueued", "", "open"),
        ("claimed", "open", "claimed"),
        ("answered", "claimed", "answered"),
        ("delivered", "answered", "delivered"),
    ]
    assert delivered.answer == ANSWER
    assert delivered.closed_by == "ann"


def test_all_fields_survive(
    open_again: Callable[[], Store], new_ticket: New, clock: VirtualClock
) -> None:
    """What is enqueued is what another process reads, lone surrogates included."""
    new = new_ticket(
        inputs={"ticket": "caf\ud83d\xe9 \x00", "n": [1, 2.5, None, True]},
        function="app.triage",
        call_id="c1",
        contract="Triage",
        schema_digest="sha256:1",
        pin="p-1",
        title="One",
        instructions="Read.",
        reasons=({"tier": "remote", "kind": "timeout"},),
        outputs=({"category": "?"},),
        labels={"stakes": "high"},
        role="lead",
        priority=3,
        due_at=clock.time() + 5,
        expires_at=clock.time() + 50,
    )
    open_again().tickets.enqueue(new)
    record = open_again().tickets.get(new.id)
    names = set(NewTicket.__slots__) - {"key", "max_open", "coalesce", "callback"}
    for name in sorted(names - {"reasons", "outputs"}):
        assert getattr(record, name) == getattr(new, name), name
    assert list(record.reasons) == list(new.reasons)
    assert list(record.outputs) == list(new.outputs)
    assert record.created_at == clock.time()


def test_delivery_is_repeatable(store: Store, new_ticket: New) -> None:
    """Fetching the answer twice gives it twice and records it once."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.answer(ticket.id, ANSWER, reviewer="ann")
    first = store.tickets.deliver(ticket.id)
    assert store.tickets.deliver(ticket.id) == first
    assert [step[0] for step in _steps(store, ticket.id)].count("delivered") == 1


def test_answer_without_a_claim_claims(store: Store, new_ticket: New) -> None:
    """A direct answer leaves the same history as claim and answer."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.answer(ticket.id, ANSWER, reviewer="ann")
    assert [step[0] for step in _steps(store, ticket.id)] == [
        "enqueued",
        "claimed",
        "answered",
    ]


def test_answer_is_taken_once(store: Store, new_ticket: New) -> None:
    """A second answer is refused by name, and the refusal is on record."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.answer(ticket.id, ANSWER, reviewer="ann")
    with pytest.raises(TicketStateError, match="already answered by ann"):
        store.tickets.answer(ticket.id, {"category": "shipping"}, reviewer="bob")
    assert store.tickets.get(ticket.id).answer == ANSWER
    assert _steps(store, ticket.id)[-1] == ("refused", "answered", "answered")


def test_repeated_answer_is_acknowledged(store: Store, new_ticket: New) -> None:
    """The same answer under the same token is a retry, before and after delivery."""
    store.tickets.enqueue(new_ticket())
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    token = held.lease_token
    first = store.tickets.answer(held.id, ANSWER, reviewer="ann", token=token)
    again = store.tickets.answer(held.id, ANSWER, reviewer="ann", token=token)
    assert again == first
    store.tickets.deliver(held.id)
    late = store.tickets.answer(held.id, ANSWER, reviewer="ann", token=token)
    assert late.state == TicketState.DELIVERED
    with pytest.raises(TicketStateError):
        store.tickets.answer(
            held.id, {"category": "shipping"}, reviewer="ann", token=token
        )


def test_answer_must_fit_the_schema(store: Store, new_ticket: New) -> None:
    """A wrong answer is refused with each field's own message and changes nothing."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    with pytest.raises(AnswerRefusedError) as caught:
        store.tickets.answer(
            ticket.id, {"category": "refund", "order_id": 7}, reviewer="ann"
        )
    category, order_id = map(str, caught.value.violations)
    assert (
        category == '/category: is "refund", but must be one of "billing", "shipping"'
    )
    assert order_id == (
        "/order_id: fits none of the alternatives: is 7, but must be of type string; "
        "or is 7, but must be of type null"
    )
    assert store.tickets.get(ticket.id).state == TicketState.OPEN


def test_held_ticket_needs_its_token(store: Store, new_ticket: New) -> None:
    """Nobody answers, rejects or releases what somebody else holds."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    store.tickets.claim(reviewer="ann")
    for token in (None, "", "wrong"):
        with pytest.raises(LeaseLostError, match="'ann'"):
            store.tickets.answer(ticket.id, ANSWER, reviewer="bob", token=token)
    with pytest.raises(LeaseLostError):
        store.tickets.reject(ticket.id, reviewer="bob", reason="no")
    with pytest.raises(LeaseLostError):
        store.tickets.release(ticket.id, actor="bob")
    with pytest.raises(LeaseLostError):
        store.tickets.release(ticket.id, actor="bob", token="wrong", reason="mine")
    with pytest.raises(LeaseLostError):
        store.tickets.claim(reviewer="bob", ticket_id=ticket.id)
    assert store.tickets.get(ticket.id).claimed_by == "ann"


def test_lapsed_lease_goes_to_the_next(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """After the lease the next claim gets a new token, and the old one is refused."""
    store.tickets.enqueue(new_ticket())
    first = store.tickets.claim(reviewer="ann", lease=60)
    clock.advance(60)
    second = store.tickets.claim(reviewer="bob", lease=60)
    assert first is not None
    assert second is not None
    assert second.id == first.id
    with pytest.raises(LeaseLostError, match="is now with 'bob'"):
        store.tickets.answer(first.id, ANSWER, reviewer="ann", token=first.lease_token)
    done = store.tickets.answer(
        first.id, ANSWER, reviewer="bob", token=second.lease_token
    )
    assert (done.closed_by, done.losses, done.claims) == ("bob", 1, 2)


@pytest.mark.parametrize("swept", [False, True])
def test_late_answer_counts_while_nobody_else_came(
    store: Store, new_ticket: New, clock: VirtualClock, swept: bool
) -> None:
    """A decision that took longer than the lease is not thrown away for nothing."""
    store.tickets.enqueue(new_ticket())
    held = store.tickets.claim(reviewer="ann", lease=60)
    assert held is not None
    clock.advance(3600)
    if swept:
        assert store.tickets.sweep() == 1
    done = store.tickets.answer(held.id, ANSWER, reviewer="ann", token=held.lease_token)
    assert done.state == TicketState.ANSWERED


def test_direct_answer_after_a_lapsed_lease(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """A lapsed lease keeps nobody else from answering directly."""
    store.tickets.enqueue(new_ticket())
    held = store.tickets.claim(reviewer="ann", lease=60)
    assert held is not None
    clock.advance(61)
    done = store.tickets.answer(held.id, ANSWER, reviewer="bob")
    assert done.closed_by == "bob"


def test_extend_keeps_a_lease(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """An extended lease outlives its first end; an ended one cannot be extended."""
    store.tickets.enqueue(new_ticket())
    held = store.tickets.claim(reviewer="ann", lease=60)
    assert held is not None
    clock.advance(59)
    assert store.tickets.extend(held.id, held.lease_token, lease=60) == (
        clock.time() + 60
    )
    clock.advance(59)
    assert store.tickets.claim(reviewer="bob") is None
    clock.advance(1)
    assert store.tickets.sweep() == 1
    with pytest.raises(LeaseLostError, match="claim it again"):
        store.tickets.extend(held.id, held.lease_token)


def test_too_many_lost_leases_are_dead(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """A ticket that five people gave up on is set aside for a look."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    for _ in range(5):
        assert store.tickets.claim(reviewer="ann", lease=1) is not None
        clock.advance(1)
        store.tickets.sweep()
    record = store.tickets.get(ticket.id)
    assert (record.state, record.losses) == (TicketState.DEAD, 5)
    assert record.note == "5 leases lapsed"
    assert record.closed_at == clock.time()


def test_untaken_ticket_expires(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Expiry is a state of its own: nobody decided anything."""
    ticket = store.tickets.enqueue(new_ticket(expires_at=clock.time() + 10)).ticket
    clock.advance(10)
    assert store.tickets.claim(reviewer="ann") is None
    record = store.tickets.get(ticket.id)
    assert (record.state, record.closed_by) == (TicketState.EXPIRED, "")


def test_held_ticket_does_not_expire(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Whoever is working on a ticket is not cut off by its expiry."""
    store.tickets.enqueue(new_ticket(expires_at=clock.time() + 10))
    held = store.tickets.claim(reviewer="ann", lease=60)
    assert held is not None
    clock.advance(20)
    assert store.tickets.sweep() == 0
    clock.advance(40)
    assert store.tickets.sweep() == 1
    assert store.tickets.get(held.id).state == TicketState.EXPIRED
    assert [step[0] for step in _steps(store, held.id)] == [
        "enqueued",
        "claimed",
        "lease_lost",
        "expired",
    ]


def test_reject_keeps_the_reason(store: Store, new_ticket: New) -> None:
    """A person's no is not a time-out: state, name and reason say so."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    record = store.tickets.reject(ticket.id, reviewer="ann", reason="not legible")
    assert (record.state, record.closed_by, record.note) == (
        TicketState.REJECTED,
        "ann",
        "not legible",
    )
    with pytest.raises(TicketStateError, match="rejected by ann"):
        store.tickets.answer(ticket.id, ANSWER, reviewer="bob")


@pytest.mark.parametrize("how", ["token", "reason"])
def test_release_reopens(store: Store, new_ticket: New, how: str) -> None:
    """A released ticket is open again and its old token is worth nothing."""
    store.tickets.enqueue(new_ticket())
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    if how == "token":
        store.tickets.release(held.id, actor="ann", token=held.lease_token)
    else:
        store.tickets.release(held.id, actor="bob", reason="ann went home")
    assert store.tickets.get(held.id).state == TicketState.OPEN
    with pytest.raises(LeaseLostError, match="ended"):
        store.tickets.answer(held.id, ANSWER, reviewer="ann", token=held.lease_token)
    with pytest.raises(TicketStateError, match="no lease to release"):
        store.tickets.release(held.id, actor="ann", reason="again")


@pytest.mark.parametrize("claimed", [False, True])
def test_cancel_closes_what_waits(store: Store, new_ticket: New, claimed: bool) -> None:
    """A caller can take a ticket back until it is closed."""
    ticket = store.tickets.enqueue(new_ticket()).ticket
    if claimed:
        store.tickets.claim(reviewer="ann")
    record = store.tickets.cancel(ticket.id, actor="app", reason="order withdrawn")
    assert (record.state, record.note) == (TicketState.CANCELLED, "order withdrawn")
    with pytest.raises(TicketStateError, match="nothing to cancel"):
        store.tickets.cancel(ticket.id, actor="app", reason="again")
    with pytest.raises(TicketStateError, match="nothing to deliver"):
        store.tickets.deliver(ticket.id)


def test_roles_are_required(store: Store, new_ticket: New) -> None:
    """A ticket for a role is neither offered nor given to others."""
    ticket = store.tickets.enqueue(new_ticket(role="lead")).ticket
    assert store.tickets.claim(reviewer="ann") is None
    with pytest.raises(RoleRequiredError, match="--role lead"):
        store.tickets.claim(reviewer="ann", ticket_id=ticket.id)
    with pytest.raises(RoleRequiredError):
        store.tickets.answer(ticket.id, ANSWER, reviewer="ann", token="")
    held = store.tickets.claim(reviewer="bob", roles=["lead"])
    assert held is not None
    assert held.id == ticket.id


@pytest.mark.parametrize(
    "ask",
    [
        lambda tickets: tickets.get("nope"),
        lambda tickets: tickets.events("nope"),
        lambda tickets: tickets.claim(reviewer="a", ticket_id="nope"),
        lambda tickets: tickets.extend("nope", "t"),
        lambda tickets: tickets.answer("nope", 1, reviewer="a"),
        lambda tickets: tickets.reject("nope", reviewer="a", reason="r"),
        lambda tickets: tickets.release("nope", actor="a"),
        lambda tickets: tickets.cancel("nope", actor="a", reason="r"),
        lambda tickets: tickets.deliver("nope"),
    ],
)
def test_unknown_ticket(store: Store, ask: Callable[[object], object]) -> None:
    """Every step names a ticket that does not exist, and how to find one."""
    with pytest.raises(TicketUnknownError, match="llmguard queue list --all"):
        ask(store.tickets)


def test_one_error_covers_the_queue(store: Store) -> None:
    """Whoever wants no detail catches `QueueError`."""
    with pytest.raises(QueueError):
        store.tickets.get("nope")
