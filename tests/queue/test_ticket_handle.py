"""A ticket as its caller holds it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from store_backends import make_store

from llmguard.contract import Contract
from llmguard.errors import ContractError
from llmguard.store import (
    AnswerRefusedError,
    NewTicket,
    SqliteStore,
    TicketState,
    TicketUnknownError,
)
from llmguard.testing import VirtualClock
from llmguard_fallbacks import Ticket, get_ticket
from llmguard_fallbacks.queue._ticket import TicketClosedError

ANSWER = {"category": "billing", "order_id": None}


@pytest.fixture
def ask(store: SqliteStore, contract: Contract) -> Callable[..., Ticket]:
    """Enqueue a ticket and hold it."""

    def make(*, clock: VirtualClock | None = None, **fields: object) -> Ticket:
        new = NewTicket(
            id="t1",
            queue="q",
            key="k1",
            fingerprint="f",
            inputs={},
            schema=contract.value_schema,
            **fields,  # type: ignore[arg-type]  # a helper's free keywords
        )
        store.tickets.enqueue(new)
        more = {} if clock is None else {"clock": clock}
        return get_ticket("t1", store=store, contract=contract, **more)

    return make


Ask = Callable[..., Ticket]


def test_answer_and_wait(ask: Ask, triage: type, store: SqliteStore) -> None:
    """The contract's type goes in and comes out; JSON without a contract."""
    ticket = ask()
    assert repr(ticket) == "Ticket('t1')"
    value = triage(category="billing", order_id=None)
    ticket.answer(value, reviewer="ann")
    assert ticket.wait(0) == value
    assert ticket.state == TicketState.DELIVERED
    assert get_ticket("k1", store=store).wait() == ANSWER


def test_await(ask: Ask, triage: type) -> None:
    """A ticket can be awaited as it is."""

    async def main() -> object:
        ticket = ask()
        await asyncio.to_thread(ticket.answer, ANSWER, reviewer="ann")
        return await ticket

    assert asyncio.run(main()) == triage(category="billing", order_id=None)


def test_answer_from_another_process(
    ask: Ask, triage: type, store: SqliteStore
) -> None:
    """A waiting caller hears of an answer that another process gave."""
    ticket = ask()
    script = (
        "import sys; from llmguard_fallbacks import get_ticket; get_ticket('t1', "
        "store=sys.argv[1]).answer({'category': 'billing', 'order_id': None}, "
        "reviewer='bob')"
    )
    with subprocess.Popen([sys.executable, "-c", script, store.url]) as other:
        value = ticket.wait(60)
    assert (value, other.returncode) == (triage(category="billing", order_id=None), 0)
    assert ticket.record.closed_by == "bob"


def test_timeout_keeps_the_ticket(ask: Ask, clock: VirtualClock) -> None:
    """No answer yet is `TimeoutError` after the asked time, and nothing is lost."""
    ticket = ask(clock=clock)
    start = clock.monotonic()
    with pytest.raises(TimeoutError, match=r"get_ticket\('t1'\)"):
        ticket.wait(1.25)
    assert clock.monotonic() - start == pytest.approx(1.25)
    assert ticket.state == TicketState.OPEN


def test_async_timeout_on_another_clock(ask: Ask, clock: VirtualClock) -> None:
    """The same, awaited."""
    ticket = ask(clock=clock)
    with pytest.raises(TimeoutError):
        asyncio.run(ticket.result(0.5))


def test_async_wait_wakes_on_poll(ask: Ask, store: SqliteStore) -> None:
    """Commits of another store object are seen by polling."""

    async def main() -> object:
        ticket = ask()
        waiting = asyncio.create_task(ticket.result(60))
        await asyncio.sleep(0)
        other = make_store(store.url)
        await asyncio.to_thread(other.tickets.answer, "t1", ANSWER, reviewer="ann")
        value = await waiting
        other.close()
        return value

    assert asyncio.run(main()) is not None


def test_expiry_while_waiting(ask: Ask, store: SqliteStore) -> None:
    """A waiting caller notices the expiry without anybody sweeping."""
    clock = VirtualClock(epoch=0.0, autojump=True)
    ticket = ask(clock=clock, expires_at=5.0)
    store.tickets._clock = clock
    with pytest.raises(TicketClosedError, match="was expired: nobody took") as caught:
        ticket.wait(60)
    assert (caught.value.state, caught.value.ticket_id) == ("expired", "t1")
    assert clock.time() == pytest.approx(5.0, abs=0.2)


def test_reject_and_cancel(ask: Ask) -> None:
    """Both end the wait, each under its own name."""
    ticket = ask()
    ticket.reject("no", reviewer="ann")
    with pytest.raises(TicketClosedError, match="was rejected by ann: no"):
        ticket.wait(0)


def test_cancel(ask: Ask) -> None:
    """The caller takes it back."""
    ticket = ask()
    ticket.cancel("not needed")
    with pytest.raises(TicketClosedError, match="was cancelled by caller: not needed"):
        asyncio.run(ticket.result(0))


def test_wrong_answer_is_refused(ask: Ask) -> None:
    """The schema of the time of asking decides, before anything is written."""
    ticket = ask()
    bare = Ticket("t1", store=ticket._store)
    with pytest.raises(AnswerRefusedError):
        bare.answer({"category": "refund"}, reviewer="ann")
    with pytest.raises(AnswerRefusedError, match="must be a JSON value"):
        bare.answer(object(), reviewer="ann")


def test_contract_that_changed_since(store: SqliteStore) -> None:
    """An answer that no longer fits the caller's contract is not passed on."""
    new = NewTicket(id="t1", queue="q", key="k", fingerprint="f", inputs={})
    store.tickets.enqueue(new)
    store.tickets.answer("t1", {"old": 1}, reviewer="ann")
    contract = Contract({"type": "object", "required": ["new"]})
    with pytest.raises(ContractError):
        get_ticket("t1", store=store, contract=contract).wait(0)


def test_unknown_ticket(store: SqliteStore) -> None:
    """There is no handle for what does not exist."""
    with pytest.raises(TicketUnknownError):
        get_ticket("nope", store=store)


def test_lazy_names(tmp_path: Path) -> None:
    """The package's names survive an import of their modules, and cost nothing."""
    script = """
import sys
import llmguard_fallbacks
assert "llmguard_fallbacks.human" not in sys.modules
assert "llmguard" not in sys.modules
import llmguard_fallbacks.human
from llmguard_fallbacks import human
assert callable(human), human
assert "Ticket" in dir(llmguard_fallbacks)
try:
    llmguard_fallbacks.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "module 'llmguard_fallbacks' has no attribute 'nothing'\n"
