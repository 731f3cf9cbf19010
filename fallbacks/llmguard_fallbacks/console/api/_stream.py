"""What happens to tickets, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.responses import Response, StreamingResponse

from llmguard.store import Store, TicketEvent, TicketUnknownError

from ._asked import WrongFieldError, api

if TYPE_CHECKING:
    from .._visit import Visit

__all__ = ["Tail", "stream"]

_ALIVE: Final = 15.0
_BEFORE: Final = 200
_BATCH: Final = 500
_KNOWN: Final = 5_000


class Tail:
    """Reads on behind a number, each event once.

    On a server, transactions that commit late appear behind later numbers, so a
    stretch before the last number is read again.

    Args:
        store: Has the events.
        after: Number of the last event known.
    """

    def __init__(self, store: Store, after: int) -> None:
        self._store = store
        self._start = self._last = after
        self._told: dict[int, None] = {}

    def read(self) -> list[TicketEvent]:
        """Return what is new, in order."""
        after = max(self._start, self._last - _BEFORE)
        found = self._store.tickets.tail(after, limit=_BATCH)
        fresh = [one for one in found if one.seq not in self._told]
        for one in fresh:
            self._told[one.seq] = None
            self._last = max(self._last, one.seq)
        while len(self._told) > 4 * _BATCH:
            del self._told[next(iter(self._told))]
        return fresh


@api("review", passive=True)
async def stream(visit: Visit) -> Response:
    """Tell of every step of the tickets that the principal may see, from now on.

    `Last-Event-ID`, or `?after=`, goes on behind that event. Reasons and content are
    not told; fetch the ticket.
    """
    given = visit.request.headers.get("last-event-id") or visit.query("after")
    if given and not (given.isascii() and given.isdecimal() and len(given) <= 18):  # noqa: PLR2004 - 64 bits
        raise WrongFieldError("?after", "must be the id of an event")
    tickets = visit.store.tickets
    start = int(given) if given else await asyncio.to_thread(tickets.last_seq)
    name = visit.principal.name
    visit.console.pulse.refuse_too_many(name)
    tail, sights = Tail(visit.store, start), _Sights(visit)

    async def lines() -> AsyncIterator[str]:
        with visit.console.pulse.subscribed(name) as woken:
            yield "retry: 3000\n\n"
            while not await visit.request.is_disconnected():
                woken.clear()
                while text := await asyncio.to_thread(_told, tail, sights):
                    yield text
                with suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), _ALIVE)
                if not woken.is_set():
                    yield ": alive\n\n"
                if not await asyncio.to_thread(sights.hold):
                    return

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


class _Sights:
    """Whether the principal may see a ticket, and what queue it is in."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._principal = visit, visit.principal
        self._known: dict[str, tuple[str, str]] = {}

    def queue_of(self, one: TicketEvent) -> str | None:
        """Return the ticket's queue; None when it is not for the principal."""
        if one.event in {"escalated", "opinion"}:
            self._known.pop(one.ticket_id, None)  # another role has it now
        found = self._known.get(one.ticket_id)
        if found is None:
            try:
                record = self._visit.store.tickets.get(one.ticket_id)
            except TicketUnknownError:
                return None
            if len(self._known) > _KNOWN:
                self._known.clear()
            found = self._known[one.ticket_id] = (record.queue, record.role)
        queue, role = found
        return queue if self._principal.sees(role) else None

    def hold(self) -> bool:
        """Tell whether whoever asked may still ask, with the roles of now."""
        found = self._visit.seen_now()
        self._principal = found or self._principal
        return found is not None and found.may("review")


def _told(tail: Tail, sights: _Sights) -> str:
    found = tail.read()
    return "".join(_lines(found, sights)) or (": passed\n\n" if found else "")


def _lines(found: list[TicketEvent], sights: _Sights) -> Iterator[str]:
    for one in found:
        queue = sights.queue_of(one)
        if queue is None:
            continue
        data = {
            "ticket": one.ticket_id,
            "queue": queue,
            "event": one.event,
            "from": one.from_state,
            "to": one.to_state,
            "actor": one.actor,
            "at": one.at,
        }
        # json writes line breaks as escapes, so that a name cannot end the event.
        yield f"id: {one.seq}\nevent: ticket\ndata: {json.dumps(data)}\n\n"
