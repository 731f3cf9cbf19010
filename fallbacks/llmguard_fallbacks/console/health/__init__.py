"""Health: what is degraded and why, what budgets have left, how answers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section
from ._pages import events_page, health_page, live, rows

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from starlette.routing import Route

    return [
        Route("/", health_page, name="list"),
        Route("/rows", rows, name="rows"),
        Route("/live", live, name="live"),
        Route("/events", events_page, name="events"),
    ]


SECTION: Final = Section(
    name="health",
    title="Health",
    path="/health",
    routes=_routes,
    scope="read",
    key="h",
)
