"""Review: the tickets that wait for people, and the page on which one is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._acts import (
    accept,
    answer,
    assign,
    claim,
    next_,
    reject,
    release,
    renew,
    skip,
    steal,
)
from ._list import live, queue_page, rows
from ._proposals import Proposal, proposals
from ._ticket import ticket_page

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION", "Proposal", "proposals"]


_ACTS: Final = {
    "accept": accept,
    "answer": answer,
    "assign": assign,
    "claim": claim,
    "reject": reject,
    "release": release,
    "renew": renew,
    "skip": skip,
    "steal": steal,
}


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", queue_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/live", live, name="live"),
        Route("/next", next_, name="next", methods=["POST"]),
        Route("/t/{ticket_id}", ticket_page, name="ticket"),
        *(
            Route(f"/t/{{ticket_id}}/{name}", act, name=name, methods=["POST"])
            for name, act in _ACTS.items()
        ),
    ]


SECTION: Final = Section(
    name="review",
    title="Review",
    path="/review",
    routes=_routes,
    scope="review",
    key="r",
)
