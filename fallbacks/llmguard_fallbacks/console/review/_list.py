"""The queue: what to take next, who holds what, what is late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._live import page_events
from .._visit import Visit, require
from ._desk import listing

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["live", "queue_page", "rows"]


@require("review")
def queue_page(visit: Visit) -> Response:
    """Show the queue."""
    return visit.render(
        "review/list.html", listing=listing(visit), done=visit.query("done")
    )


@require("review", passive=True)
def rows(visit: Visit) -> Response:
    """Give the part of the page that changes."""
    return visit.render("review/_rows.html", listing=listing(visit))


@require("review", passive=True)
async def live(visit: Visit) -> Response:
    """Tell the page when tickets may have changed."""
    return page_events(visit)
