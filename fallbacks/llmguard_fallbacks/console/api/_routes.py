"""The interface's addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from . import _cases, _result, _stream, _tickets
from ._openapi import description

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

__all__ = ["routes"]

_ONE = "/queue/tickets/{ticket_id}"


def routes() -> list[BaseRoute]:
    """Return every route below `/api/v1`."""
    acts = (
        _tickets.claim,
        _tickets.renew,
        _tickets.answer,
        _tickets.reject,
        _tickets.skip,
        _tickets.release,
        _tickets.steal,
        _tickets.assign,
        _tickets.revive,
    )
    return [
        Route("/openapi.json", description, name="openapi"),
        Route("/queue/tickets", _tickets.list_, name="tickets"),
        Route("/queue/claim", _tickets.claim_next, name="next", methods=["POST"]),
        Route("/queue/stats", _tickets.stats, name="stats"),
        Route("/queue/events", _stream.stream, name="stream"),
        Route("/queue/cases", _cases.cases, name="cases"),
        Route("/queue/cases/{ticket_id}", _cases.decide, name="case", methods=["POST"]),
        Route(_ONE, _tickets.show, name="ticket"),
        Route(f"{_ONE}/events", _tickets.events, name="events"),
        Route(f"{_ONE}/result", _result.result, name="result"),
        *(_act(one) for one in acts),
    ]


def _act(endpoint: Any) -> Route:
    name: str = endpoint.__name__
    return Route(f"{_ONE}/{name}", endpoint, name=name, methods=["POST"])
