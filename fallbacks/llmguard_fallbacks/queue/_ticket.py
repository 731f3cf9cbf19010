"""A ticket as its caller holds it: wait for the answer, give it, or take it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Collection, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.clock import SYSTEM_CLOCK, Clock
from llmguard.errors import QueueError
from llmguard.store import (
    CLOSED,
    Store,
    TicketRecord,
    TicketState,
    TicketUnknownError,
)
from llmguard.store._pg_place import is_server

if TYPE_CHECKING:
    from llmguard.contract import Contract

__all__ = ["Ticket", "TicketClosedError", "get_ticket"]

POLL = 0.1
"""Seconds between looks at commits of other processes; a look takes about 5 us."""


class _Asked(NamedTuple):
    """A call to the store: one that only looks is over at once where it is a file."""

    call: Callable[[], Any]
    looks: bool = False


# What a wait asks of whoever drives it: seconds to pause, or a call that may block.
_Step = float | _Asked
_Flow = Generator[_Step, Any, TicketRecord]


class TicketClosedError(QueueError):
    """The ticket ended without an answer.

    Attributes:
        ticket_id: Id of the ticket.
        state: `rejected`, `expired`, `cancelled` or `dead`.
        reason: Why, in the words of whoever closed it.
    """

    def __init__(self, record: TicketRecord) -> None:
        by = f" by {record.closed_by}" if record.closed_by else ""
        why = f": {record.note}" if record.note else ""
        if record.purged_at is not None:
            by, why = "", ", and its content was purged since"
        super().__init__(
            f"ticket {record.id!r} was {record.state}{by}{why}; "
            f"`llmguard queue show {record.id}` shows its history"
        )
        self.ticket_id = record.id
        self.state = record.state
        self.reason = record.note


class Ticket:
    """A durable ticket; any process that can open the store may hold it.

    Args:
        ticket_id: Its id.
        store: The store that has it.
        contract: Turns the answer into the contract's type; None leaves it JSON.
        clock: Measures waiting; another clock than the system's is slept on.
    """

    def __init__(
        self,
        ticket_id: str,
        *,
        store: Store,
        contract: Contract | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.id = ticket_id
        self._store = store
        self._contract = contract
        self._clock = clock
        self._last: TicketRecord | None = None
        self._far = is_server(store.url)

    def __repr__(self) -> str:
        return f"Ticket({self.id!r})"

    def __await__(self) -> Generator[Any, None, object]:
        return self.result().__await__()

    @property
    def record(self) -> TicketRecord:
        """The ticket as the store has it now."""
        return self._store.tickets.get(self.id)

    @property
    def state(self) -> TicketState:
        """Where the ticket is now."""
        return self.record.state

    @property
    def by_default(self) -> bool:
        """Whether the answer last waited for was declared for when nobody answers."""
        last = self._last
        return last is not None and last.state is TicketState.EXPIRED and last.answered

    def wait(self, timeout: float | None = None) -> object:
        """Block until a person answers, and return the answer.

        Args:
            timeout: Seconds; None waits for ever.

        Raises:
            TimeoutError: No answer yet; the ticket stays, wait again or later.
            TicketClosedError: It was rejected, cancelled, expired, or is dead.
            ContractError: The answer does not fit the contract given here.
        """
        woken = threading.Event()
        stop = self._store.listen(woken.set)
        flow = self._watch(timeout)
        try:
            step = next(flow)
            while True:
                step = flow.send(self._do(step, woken))
        except StopIteration as end:
            return self._value(end.value)
        finally:
            stop()

    async def result(self, timeout: float | None = None) -> object:  # noqa: ASYNC109 - the ticket outlives it, a cancelled task would say less
        """Await the answer; arguments, result and errors are those of `wait`."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(woken.set)

        stop = self._store.listen(wake)
        flow = self._watch(timeout)
        try:
            step = next(flow)
            while True:
                step = flow.send(await self._ado(step, woken))
        except StopIteration as end:
            return self._value(end.value)
        finally:
            stop()

    def answer(
        self,
        value: object,
        *,
        reviewer: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Answer it; without a token it is claimed on the way.

        Args:
            value: JSON, or the contract's own type when the ticket has its contract.
            reviewer: Who answers, for the record.
            token: The lease's token, when it was claimed before.
            roles: Roles the reviewer has.

        Raises:
            AnswerRefusedError: It breaks the schema that the ticket was asked with.
            QueueError: It is not this reviewer's to answer.
        """
        plain = value if self._contract is None else self._contract.dump(value)
        return self._store.tickets.answer(
            self.id, plain, reviewer=reviewer, token=token, roles=roles
        )

    def reject(
        self,
        reason: str,
        *,
        reviewer: str,
        token: str | None = None,
        roles: Collection[str] = (),
    ) -> TicketRecord:
        """Close it unanswered, by a person's decision.

        Raises:
            QueueError: It is closed already, or not this reviewer's.
        """
        return self._store.tickets.reject(
            self.id, reviewer=reviewer, reason=reason, token=token, roles=roles
        )

    def cancel(self, reason: str, *, actor: str = "caller") -> TicketRecord:
        """Take it back: nobody needs the answer any more.

        Raises:
            QueueError: It is closed already.
        """
        return self._store.tickets.cancel(self.id, actor=actor, reason=reason)

    def _watch(self, timeout: float | None) -> _Flow:
        """Yield what to do until the ticket is closed; return it delivered."""
        end = None if timeout is None else self._clock.monotonic() + timeout
        seen: int | None = None
        known: TicketRecord | None = None
        while True:
            look = partial(self._look, seen, known)
            found: tuple[int, TicketRecord] = yield _Asked(look, looks=True)
            seen, record = found
            known = record
            if record.lapsed(self._clock.time()):
                known = yield _Asked(self._sweep)
                continue
            if record.state is TicketState.ANSWERED:
                record = yield _Asked(self._deliver)
            if record.state in CLOSED:
                return record
            left = POLL if end is None else end - self._clock.monotonic()
            if left <= 0:
                raise TimeoutError(
                    f"ticket {self.id!r} has no answer after {timeout:g} s; it stays "
                    "in its queue: wait again, or later with "
                    f"`get_ticket({self.id!r})`"
                )
            yield min(POLL, left)

    def _look(
        self, seen: int | None, known: TicketRecord | None
    ) -> tuple[int, TicketRecord]:
        """Return the store's version, and the ticket, read again if that is new."""
        version = self._store.version()
        return version, self.record if known is None or version != seen else known

    def _sweep(self) -> TicketRecord:
        self._store.tickets.sweep()
        return self.record

    def _deliver(self) -> TicketRecord:
        return self._store.tickets.deliver(self.id)

    def _do(self, step: _Step, woken: threading.Event) -> Any:
        if isinstance(step, _Asked):
            return step.call()
        if self._clock is SYSTEM_CLOCK:
            woken.wait(step)
            woken.clear()
        else:
            self._clock.sleep(step)
        return None

    async def _ado(self, step: _Step, woken: asyncio.Event) -> Any:
        if isinstance(step, _Asked):
            # A server may be far or away, which must not stop everybody's loop. A
            # file's version is its thread's own, so it is asked for in one.
            here = step.looks and not self._far
            return step.call() if here else await asyncio.to_thread(step.call)
        if self._clock is SYSTEM_CLOCK:
            timer = asyncio.get_running_loop().call_later(step, woken.set)
            try:
                await woken.wait()
            finally:
                timer.cancel()
            woken.clear()
        else:
            await self._clock.asleep(step)
        return None

    def _value(self, record: TicketRecord) -> object:
        self._last = record
        if not record.answered:
            raise TicketClosedError(record)
        if self._contract is None:
            return record.answer
        return self._contract.load(record.answer)


def get_ticket(
    ticket_id: str,
    *,
    contract: Contract | None = None,
    store: Store | str | os.PathLike[str] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Ticket:
    """Return a ticket by the id that `Deferred` carried, in any process.

    Args:
        ticket_id: The id, or the idempotency key it was asked under.
        contract: Turns the answer into the contract's type; None leaves it JSON.
        store: The store or its URL; None for the configured one.
        clock: Measures waiting.

    Raises:
        TicketUnknownError: No such ticket.
        StoreError: The store cannot be opened.
    """
    from ._store import opened, replayed

    found = opened(store)
    try:
        record = found.tickets.get(ticket_id)
    except TicketUnknownError:
        if not replayed(found):
            raise
        record = found.tickets.get(ticket_id)
    return Ticket(record.id, store=found, contract=contract, clock=clock)
