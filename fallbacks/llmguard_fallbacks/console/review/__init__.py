"""Review: the tickets that wait for people, and the page on which one is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._list import live, queue_page, rows

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", queue_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/live", live, name="live"),
    ]


SECTION: Final = Section(
    name="review",
    title="Review",
    path="/review",
    routes=_routes,
    scope="review",
    key="r",
)
