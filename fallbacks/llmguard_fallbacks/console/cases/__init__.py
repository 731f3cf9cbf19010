"""Cases: people's answers that may become cases of a contract suite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._pages import cases_page, decide

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", cases_page, name="list"),
        Route("/{ticket_id}", decide, name="decide", methods=["POST"]),
    ]


SECTION: Final = Section(
    name="cases",
    title="Cases",
    path="/cases",
    routes=_routes,
    scope="review",
    key="a",
)
