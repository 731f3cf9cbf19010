"""The queue over HTTP, for programs: JSON in and out, problems as RFC 9457 has them.

Everything is below `/api/v1` of the console and asks for a bearer token
(`llmguard console token add`). `GET /api/v1/openapi.json` describes all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._section import Section

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["SECTION"]


def _routes() -> list[BaseRoute]:
    from ._routes import routes

    return routes()


SECTION: Final = Section(name="api", path="/api/v1", routes=_routes)
