"""The human tier at the end of a real chain."""

from __future__ import annotations

import asyncio

import pytest

from llmguard import Deferred, Kind, capture, contract, fallback_chain
from llmguard.errors import ConfigError
from llmguard.store import SqliteStore, TicketState
from llmguard_fallbacks import get_ticket, human


def _down(ticket: str) -> object:
    raise ConnectionError("the model is down")


def test_call_is_deferred_and_answered_later(store: SqliteStore, triage: type) -> None:
    """An outage ends in a ticket that tells why, and the same call finds the answer."""

    @fallback_chain(human("triage", store=store), deadline=5.0)
    @contract(triage)
    def guarded(ticket: str) -> object:
        return _down(ticket)

    with capture() as outcomes, pytest.raises(Deferred) as caught:
        guarded("I was charged twice")
    assert outcomes[0].ticket_id == caught.value.ticket_id
    record = store.tickets.get(caught.value.ticket_id)
    assert record.inputs == {"ticket": "I was charged twice"}
    assert [one["kind"] for one in record.reasons][-1] in {"transport", "error"}
    ticket = get_ticket(record.id, store=store)
    ticket.answer({"category": "billing", "order_id": None}, reviewer="ann")
    assert ticket.wait(0) == {"category": "billing", "order_id": None}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_last_resort_is_judged_and_returned(
    store: SqliteStore, triage: type, mode: str
) -> None:
    """A full queue answers with the declared value, as the contract's type."""
    tier = human(
        "triage",
        store=store,
        max_open=1,
        on_full={"category": "billing", "order_id": None},
    )

    @fallback_chain(tier, deadline=5.0)
    @contract(triage)
    def guarded(ticket: str) -> object:
        return _down(ticket)

    @fallback_chain(tier, deadline=5.0)
    @contract(triage)
    async def aguarded(ticket: str) -> object:
        return _down(ticket)

    def call(text: str) -> object:
        return guarded(text) if mode == "sync" else asyncio.run(aguarded(text))

    with pytest.raises(Deferred):
        call("one")
    with capture() as outcomes:
        assert call("two") == triage(category="billing", order_id=None)
    assert (outcomes[0].kind, outcomes[0].tier) == (Kind.OK, "human:triage")
    assert store.tickets.counts() == {"triage": {TicketState.OPEN: 1}}


def test_wrong_last_resort_is_refused_at_decoration(triage: type) -> None:
    """The mistake shows when the program starts, not when the queue is full."""
    with pytest.raises(ConfigError, match="`on_full`"):

        @fallback_chain(human("triage", max_open=1, on_full={"category": "?"}))
        @contract(triage)
        def guarded(ticket: str) -> object:
            return _down(ticket)
