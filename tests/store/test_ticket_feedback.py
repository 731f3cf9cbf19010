"""Callbacks as rows, and what answers say of models, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.store import NewTicket, Store, TicketUnknownError
from llmguard.store._ticket_labels import differences
from llmguard.testing import VirtualClock

New = Callable[..., NewTicket]
URL = "https://example.org/hook"
RIGHT = {"category": "billing"}
WRONG = {"category": "shipping"}


def _events(store: Store, ticket_id: str) -> list[str]:
    return [one.event for one in store.tickets.events(ticket_id)]


def test_a_callback_is_due_when_its_ticket_is_closed(
    store: Store, new_ticket: New
) -> None:
    """Not before, and then for one sender at a time."""
    ticket = store.tickets.enqueue(new_ticket(callback=URL)).ticket
    assert store.callbacks.take() is None
    store.tickets.answer(ticket.id, RIGHT, reviewer="ann")
    taken = store.callbacks.take()
    assert taken is not None
    assert (taken.ticket_id, taken.url, taken.attempts) == (ticket.id, URL, 1)
    assert store.callbacks.take() is None
    assert store.callbacks.sent(taken, result="HTTP 204")
    assert not store.callbacks.sent(taken, result="HTTP 204")
    assert _events(store, ticket.id)[-1] == "callback_sent"


def test_a_sender_that_died_is_replaced(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """After its time the next one takes it, and what the first one says is refused."""
    ticket = store.tickets.enqueue(new_ticket(callback=URL)).ticket
    store.tickets.cancel(ticket.id, actor="app", reason="x")
    first = store.callbacks.take(lease=30)
    clock.advance(31)
    second = store.callbacks.take()
    assert first is not None
    assert second is not None
    assert (second.id, second.attempts) == (first.id, 2)
    assert not store.callbacks.failed(first, result="late", retry=1)
    assert store.callbacks.sent(second, result="HTTP 200")


def test_failures_are_tried_again_then_given_up_and_revived(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """Each try is on record; `revive` sends it again without touching the answer."""
    ticket = store.tickets.enqueue(new_ticket(callback=URL)).ticket
    store.tickets.answer(ticket.id, RIGHT, reviewer="ann")
    one = store.callbacks.take()
    assert one is not None
    assert store.callbacks.failed(one, result="HTTP 500", retry=60)
    assert store.callbacks.take() is None
    assert store.tickets.stats()[0].callbacks_due == 1
    clock.advance(61)
    two = store.callbacks.take()
    assert two is not None
    assert store.callbacks.failed(two, result="HTTP 500", retry=None)
    assert [two.id] == [row.id for row in store.callbacks.list(states=["dead"])]
    found = store.tickets.stats()[0]
    assert (found.callbacks_due, found.callbacks_dead) == (0, 1)
    after = store.tickets.revive(ticket.id, actor="lead", reason="they fixed it")
    assert after.answer == RIGHT
    assert store.callbacks.take(ticket_id=ticket.id) is not None
    assert _events(store, ticket.id)[-3:] == [
        "callback_failed",
        "callback_dead",
        "callbacks_revived",
    ]


def test_every_caller_of_a_shared_ticket_is_told(store: Store, new_ticket: New) -> None:
    """Each by its own URL; a repeated call adds none."""
    new = new_ticket(callback=URL, fingerprint="f")
    ticket = store.tickets.enqueue(new).ticket
    store.tickets.enqueue(new)
    other = store.tickets.enqueue(new_ticket(callback=f"{URL}2", fingerprint="f"))
    assert (other.coalesced, other.ticket.callbacks) == (True, 2)
    store.tickets.answer(ticket.id, RIGHT, reviewer="ann")
    rows = store.callbacks.list(ticket_id=ticket.id)
    assert [URL, f"{URL}2"] == [row.url for row in rows]


def _proposed(new_ticket: New, value: object, **more: object) -> NewTicket:
    said = {"tier": "m", "pin": "p-1", "kind": "low_confidence", "confidence": 0.4}
    return new_ticket(function="app.f", outputs=({**said, "value": value},), **more)


def test_answers_label_what_was_proposed(store: Store, new_ticket: New) -> None:
    """Equal or not, with the fields that differ; wrong ones become proposed cases."""
    for value in (RIGHT, WRONG):
        new = _proposed(new_ticket, value)
        store.tickets.enqueue(new)
        store.tickets.answer(new.id, RIGHT, reviewer="ann")
    wrong, right = sorted(store.feedback.labels(), key=lambda one: one.agrees)
    assert (right.agrees, right.differs, right.confidence) == (True, (), 0.4)
    assert (wrong.agrees, wrong.differs, wrong.pin) == (False, ("/category",), "p-1")
    cases = store.feedback.cases()
    assert [(wrong.ticket_id, RIGHT)] == [(c.ticket_id, c.expected) for c in cases]
    assert cases[0].inputs == store.tickets.get(wrong.ticket_id).inputs
    assert [] == list(store.feedback.labels(function="app.g"))


def test_an_accepted_case_outlives_its_ticket(
    store: Store, new_ticket: New, clock: VirtualClock
) -> None:
    """With the inputs that a person put in place of redacted ones."""
    kept, gone = (_proposed(new_ticket, WRONG, redacted=True) for _ in range(2))
    for new in (kept, gone):
        store.tickets.enqueue(new)
        store.tickets.answer(new.id, RIGHT, reviewer="ann")
    case = store.feedback.decide(
        kept.id, state="accepted", actor="lead", inputs={"ticket": "invented"}
    )
    assert (case.redacted, case.decided_by) == (False, "lead")
    clock.advance(1)
    store.tickets.purge(closed_before=clock.time(), actor="lead")
    assert [] == list(store.feedback.cases())
    (left,) = store.feedback.cases(state="accepted", function="app.f")
    assert (left.inputs, left.expected) == ({"ticket": "invented"}, RIGHT)
    with pytest.raises(TicketUnknownError, match="purged"):
        store.feedback.decide(gone.id, state="accepted", actor="lead")


def test_a_dismissed_case_is_out_of_the_way(store: Store, new_ticket: New) -> None:
    new = _proposed(new_ticket, WRONG)
    store.tickets.enqueue(new)
    store.tickets.answer(new.id, RIGHT, reviewer="ann")
    store.feedback.decide(new.id, state="dismissed", actor="lead", note="odd one")
    assert [] == list(store.feedback.cases())
    assert store.feedback.cases(state="dismissed")[0].note == "odd one"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("a/~"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("a/~"), inner),
    max_leaves=6,
)


@given(JSON, JSON)
def test_differences_are_none_for_equals_alone(left: object, right: object) -> None:
    assert differences(left, left) == []
    assert sorted(differences(left, right)) == sorted(differences(right, left))
    if not differences(left, right):
        assert left == right


def test_versions_are_counted_by_what_people_answered(
    store: Store, new_ticket: New
) -> None:
    """Once a ticket, as signals that no objective counts as a corrected answer."""
    for value in (RIGHT, WRONG, WRONG):
        new = _proposed(new_ticket, value)
        store.tickets.enqueue(new)
        held = store.tickets.claim(reviewer="ann")
        assert held is not None
        for _ in range(2):
            store.tickets.answer(new.id, RIGHT, reviewer="ann", token=held.lease_token)
    rows = [row for row in store.counts.sums("prod") if row.measure == "signal"]
    found = {(row.function, row.pin, row.label): row.n for row in rows}
    assert found == {
        ("app.f", "p-1", "reviewed_right"): 1,
        ("app.f", "p-1", "reviewed_wrong"): 2,
    }
