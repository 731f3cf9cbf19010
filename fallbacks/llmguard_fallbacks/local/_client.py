"""Waiting for a pool's answer: blocking, or on an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import time
from collections.abc import AsyncIterator, Generator, Iterator

from llmguard.errors import CallError, ConfigError, TierTimeoutError
from llmguard.outcome import Kind

from ._job import Delta, Failure, Job, Result
from ._pool import Event, Pool, Ticket

__all__ = ["aevents", "events"]


def events(pool: Pool, job: Job, *, budget: float) -> Iterator[Delta | Result]:
    """Yield what a job brings: pieces of text if it streams, and the result.

    Args:
        pool: The workers.
        job: What to answer.
        budget: Seconds until the caller gives up.

    Raises:
        CallError: There is no answer; `kind` says why.
    """
    inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
    end = time.monotonic() + budget
    ticket = pool.submit(job, budget=budget, sink=inbox.put)
    with _leaving(pool, ticket):
        while True:
            try:
                event = inbox.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise _late(ticket, budget) from None
            yield _checked(event)
            if isinstance(event, Result):
                return


async def aevents(
    pool: Pool, job: Job, *, budget: float
) -> AsyncIterator[Delta | Result]:
    """Yield what a job brings, without blocking the event loop; see `events`."""
    inbox: asyncio.Queue[Event] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def hand_over(event: Event) -> None:
        # The loop may be gone by the time an abandoned job ends.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(inbox.put_nowait, event)

    end = loop.time() + budget
    ticket = pool.submit(job, budget=budget, sink=hand_over)
    with _leaving(pool, ticket):
        while True:
            try:
                async with asyncio.timeout_at(end):
                    event = await inbox.get()
            except TimeoutError:
                raise _late(ticket, budget) from None
            yield _checked(event)
            if isinstance(event, Result):
                return


@contextlib.contextmanager
def _leaving(pool: Pool, ticket: Ticket) -> Generator[None]:
    """Give the job up however the caller leaves; a finished one is not touched."""
    try:
        yield
    finally:
        pool.abandon(ticket)


def _checked(event: Event) -> Delta | Result:
    if isinstance(event, Failure):
        raise event.error()
    return event


def _late(ticket: Ticket, budget: float) -> CallError | ConfigError:
    where = "was answering" if ticket.slot is not None else "had not begun"
    return TierTimeoutError(
        f"the local model {where} when the {budget:.3g} s of this tier were over",
        kind=Kind.TIMEOUT,
    )
