"""Suites and shadow: what versions were found to do before people met them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._pages import document, evidence_page, live, rows, shadow_page

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", evidence_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/live", live, name="live"),
        Route("/document/{digest}", document, name="document"),
        Route("/shadow/{run}", shadow_page, name="shadow"),
    ]


SECTION: Final = Section(
    name="evidence",
    title="Suites & shadow",
    path="/evidence",
    routes=_routes,
    scope="read",
    key="s",
)
