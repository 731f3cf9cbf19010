"""Several people's answers to one ticket, on every backend."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.store import (
    Agreement,
    Expiry,
    NewTicket,
    ReviewedError,
    Store,
    TicketRecord,
    TicketState,
)
from llmguard.store.policies import agreed

New = Callable[..., NewTicket]
BILLING = {"category": "billing", "order_id": "A-1"}
OTHER = {"category": "billing", "order_id": "B-2"}
SHIPPING = {"category": "shipping"}


def _answer(store: Store, ticket_id: str, who: str, value: object) -> TicketRecord:
    return store.tickets.answer(ticket_id, value, reviewer=who, roles=["lead"])


def _ask(store: Store, new: NewTicket) -> str:
    return store.tickets.enqueue(new).ticket.id


def test_two_equal_answers_decide(store: Store, new_ticket: New) -> None:
    """The first leaves the ticket open for somebody else; the second closes it."""
    ticket = _ask(store, new_ticket(reviewers=2))
    held = store.tickets.claim(reviewer="ann")
    assert held is not None
    token = held.lease_token
    first = store.tickets.answer(ticket, BILLING, reviewer="ann", token=token)
    assert (first.state, first.opinions, first.answered) == (
        TicketState.OPEN,
        1,
        False,
    )
    again = store.tickets.answer(ticket, BILLING, reviewer="ann", token=token)
    assert again == first
    assert store.tickets.claim(reviewer="ann") is None
    with pytest.raises(ReviewedError):
        store.tickets.claim(reviewer="ann", ticket_id=ticket)
    with pytest.raises(ReviewedError):
        _answer(store, ticket, "ann", BILLING)
    with pytest.raises(ReviewedError):
        store.tickets.steal(ticket, reviewer="ann", reason="x")
    second = _answer(store, ticket, "bob", BILLING)
    assert (second.state, second.answer) == (TicketState.ANSWERED, BILLING)
    names = [one.event for one in store.tickets.events(ticket)]
    assert names == ["enqueued", "claimed", "opinion", "claimed", "answered"]
    given_by = [(one.reviewer, one.answer) for one in store.tickets.opinions(ticket)]
    assert given_by == [("ann", BILLING), ("bob", BILLING)]


def test_a_tie_asks_further_people(store: Store, new_ticket: New) -> None:
    """Until two agree, one after the other."""
    ticket = _ask(store, new_ticket(reviewers=2))
    _answer(store, ticket, "ann", BILLING)
    tied = _answer(store, ticket, "bob", SHIPPING)
    assert tied.state is TicketState.OPEN
    done = _answer(store, ticket, "cyd", SHIPPING)
    assert (done.state, done.answer) == (TicketState.ANSWERED, SHIPPING)


def test_no_agreement_is_dead_and_revived(store: Store, new_ticket: New) -> None:
    """At the limit it is the ticket, not the people, that is the problem."""
    ticket = _ask(store, new_ticket(reviewers=2, agreement=Agreement(limit=3)))
    for who, value in (("ann", BILLING), ("bob", SHIPPING), ("cyd", OTHER)):
        last = _answer(store, ticket, who, value)
    assert (last.state, last.note) == (TicketState.DEAD, "3 answers and no agreement")
    store.tickets.revive(ticket, actor="lead", reason="instructions were wrong")
    assert _answer(store, ticket, "dan", OTHER).state is TicketState.ANSWERED


def test_an_adjudicator_decides_alone(store: Store, new_ticket: New) -> None:
    """A person of that role who has not answered before."""
    rule = Agreement(adjudicator="lead")
    ticket = _ask(store, new_ticket(reviewers=2, agreement=rule))
    _answer(store, ticket, "ann", BILLING)
    tied = _answer(store, ticket, "bob", SHIPPING)
    assert (tied.adjudicating, tied.role) == (True, "lead")
    assert store.tickets.claim(reviewer="cyd") is None
    with pytest.raises(ReviewedError):
        _answer(store, ticket, "ann", BILLING)
    done = _answer(store, ticket, "dan", OTHER)
    assert (done.state, done.answer, done.closed_by) == (
        TicketState.ANSWERED,
        OTHER,
        "dan",
    )
    assert {"answered": 1} == store.tickets.counts()["triage"]


def test_agreement_on_some_fields(store: Store, new_ticket: New) -> None:
    """The first of the equal answers is the answer."""
    rule = Agreement(on=("/category",))
    ticket = _ask(store, new_ticket(reviewers=2, agreement=rule))
    _answer(store, ticket, "ann", BILLING)
    assert _answer(store, ticket, "bob", OTHER).answer == BILLING


def test_a_majority(store: Store, new_ticket: New) -> None:
    """Two of three, so the third is not asked when two agree."""
    ticket = _ask(store, new_ticket(reviewers=3, agreement=Agreement(need=2)))
    _answer(store, ticket, "ann", BILLING)
    assert _answer(store, ticket, "bob", BILLING).state is TicketState.ANSWERED


def test_one_rejection_closes(store: Store, new_ticket: New) -> None:
    ticket = _ask(store, new_ticket(reviewers=2))
    _answer(store, ticket, "ann", BILLING)
    done = store.tickets.reject(ticket, reviewer="bob", reason="not answerable")
    assert done.state is TicketState.REJECTED


def test_questions_of_other_standards_are_not_shared(
    store: Store, new_ticket: New
) -> None:
    """Who asked for two people does not get one person's answer."""
    one = store.tickets.enqueue(new_ticket(fingerprint="f")).ticket
    two = store.tickets.enqueue(new_ticket(fingerprint="f", reviewers=2))
    assert (two.coalesced, two.ticket.id == one.id) == (False, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-3, 3) | st.text("ab"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab"), inner),
    max_leaves=5,
)


@given(st.lists(JSON, max_size=6), st.integers(1, 4))
def test_agreed_is_counting(answers: list[object], need: int) -> None:
    """The place is the first of a largest group; none is as large without one."""

    def text(value: object) -> str:
        return json.dumps(value, sort_keys=True).replace(".0", "")

    sizes = [sum(text(one) == text(two) for two in answers) for one in answers]
    place = agreed(answers, (), need)
    if place is None:
        assert max(sizes, default=0) < need
    else:
        assert sizes[place] == max(sizes) >= need
        assert text(answers[place]) not in map(text, answers[:place])


def test_agreed_tells_true_from_one_and_missing_from_null() -> None:
    assert agreed([1, True], (), 2) is None
    assert agreed([1, 1.0], (), 2) == 0
    assert agreed([{"a": None}, {}], ("/a",), 2) is None
    assert agreed([{"a": [1, 2]}, {"a": [3, 2]}], ("/a/1",), 2) == 0
    assert agreed([{"a": [1]}, {"a": "x"}], ("/a/7",), 2) == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Agreement(on=("category",)),
        lambda: Agreement(need=-1),
        lambda: Expiry(do="escalate"),
        lambda: Expiry(role="lead"),
        lambda: Expiry(do="later"),  # type: ignore[arg-type]  # what is tested
        lambda: Expiry(do="escalate", role="lead", seconds=0),
    ],
)
def test_wrong_policies_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigError):
        make()


def test_policies_survive_json() -> None:
    """Nested ones too."""
    rules = [Agreement(), Agreement(on=("/a", "/b"), need=2, adjudicator="x", limit=9)]
    for rule in rules:
        assert Agreement.from_json(json.loads(json.dumps(rule.to_json()))) == rule
    inner = Expiry(do="answer", value={"a": [1]})
    for one in (Expiry(), Expiry(do="escalate", role="x", seconds=1.5, then=inner)):
        assert Expiry.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_many_orders_end_alike(store: Store, new_ticket: New) -> None:
    """Whoever comes first, two equal answers of three decide."""
    for order in itertools.permutations([BILLING, BILLING, SHIPPING]):
        ticket = _ask(store, new_ticket(reviewers=2, coalesce=False))
        for number, value in enumerate(order):
            if _answer(store, ticket, f"r{number}", value).state.value == "answered":
                break
        assert store.tickets.get(ticket).answer == BILLING
