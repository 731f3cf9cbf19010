"""The answer of a ticket, waited for as long as `Prefer: wait=N` asks, 55 s at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmguard.store import TicketRecord
from llmguard.web._asked import preferred_wait

from ...queue import TicketClosedError, get_ticket
from ._answers import answer as say
from ._answers import problem
from ._asked import api, seen

if TYPE_CHECKING:
    from starlette.responses import Response

    from .._visit import Visit

__all__ = ["result"]

_LONGEST: Final = 55.0
"""Below the 60 s after which many clients and proxies hang up."""


@api("read", passive=True, acts=True)
async def result(visit: Visit) -> Response:
    """Return the answer: 200, or 202 while there is none, or 410 when none will come.

    Fetching an answer is its delivery, so that a browser's session needs its form
    token: no page of another site delivers by a link.
    """
    from starlette.concurrency import run_in_threadpool

    record = await run_in_threadpool(seen, visit)
    wait = preferred_wait(visit.request.headers.get("prefer"), _LONGEST)
    held = await run_in_threadpool(
        lambda: get_ticket(record.id, store=visit.store, clock=visit.console.clock)
    )
    try:
        value = await held.result(wait)
    except TimeoutError:
        return say(
            {"status": "pending", "ticket": record.id},
            202,
            retry_after="5",
            location=visit.url("api:result", ticket_id=record.id),
        )
    except TicketClosedError:
        return _closed(await run_in_threadpool(visit.store.tickets.get, record.id))
    status = "expired" if held.by_default else "answered"
    return say({"status": status, "ticket": record.id, "value": value})


def _closed(record: TicketRecord) -> Response:
    if record.purged_at is not None:
        return problem(410, "purged", "the ticket's content is no longer kept")
    why = record.note or "there will be no answer"
    code = str(record.state)
    return problem(410, code, why, state=code, ticket=record.id)
