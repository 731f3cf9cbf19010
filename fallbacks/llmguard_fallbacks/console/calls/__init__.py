"""Calls: the last ones with all their attempts, failures first of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._pages import call_page, calls_page, rows

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", calls_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/call/{call}", call_page, name="call"),
    ]


SECTION: Final = Section(
    name="calls",
    title="Calls",
    path="/calls",
    routes=_routes,
    scope="read",
    key="c",
)
