"""Versions: what runs where now, how it came to that, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._pages import live, route_view, rows, take_back, versions_page, which_box

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", versions_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/live", live, name="live"),
        Route("/which", which_box, name="which"),
        Route("/route/{route}", route_view, name="route"),
        Route("/route/{route}/rollback", take_back, name="rollback", methods=["POST"]),
    ]


SECTION: Final = Section(
    name="versions",
    title="Versions",
    path="/versions",
    routes=_routes,
    scope="read",
    key="v",
)
