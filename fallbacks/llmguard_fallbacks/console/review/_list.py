"""The queue: what to take next, who holds what, what is late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.store import WAITING

from .._live import event_stream
from .._visit import Visit, require

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["live", "queue_page", "rows"]


@require("review")
def queue_page(visit: Visit) -> Response:
    """Show the queue."""
    return visit.render("review/list.html", tickets=_tickets(visit))


@require("review", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("review/_rows.html", tickets=_tickets(visit))


@require("review", passive=True)
async def live(visit: Visit) -> Response:
    """Tell the page when tickets may have changed."""
    return event_stream(visit.request, visit.console.pulse, visit.principal.name)


def _tickets(visit: Visit) -> list[object]:
    found = visit.store.tickets.list(states=WAITING, limit=50)
    return [one for one in found if visit.principal.sees(one.role)]
