"""The application: routes, the door, errors in one shape."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ._chat import ChatShape, read_chat
from ._desk import Desk
from ._door import admit
from ._endpoint import Endpoint
from ._errors import ApiError
from ._metrics import content_type
from ._responses import ResponsesShape, read_responses
from ._settings import ServeSettings
from ._targets import Served

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["make_app"]


def make_app(
    models: list[Served],
    settings: ServeSettings,
    *,
    warm: bool = True,
    now: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
) -> ASGIApp:
    """Return the server as an ASGI application; see `create_app`."""
    desk = Desk(models, settings)
    kept: dict[str, Any] = {"now": now, "clock": clock, "new_id": new_id}
    chat = Endpoint(api="chat", desk=desk, read=read_chat, shape=ChatShape, **kept)
    responses = Endpoint(
        api="responses", desk=desk, read=read_responses, shape=ResponsesShape, **kept
    )
    pages = _Pages(desk, int(now()))
    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/responses", responses, methods=["POST"]),
        Route("/v1/models", pages.models),
        Route("/v1/models/{name:path}", pages.model),
        Route("/health", pages.health),
        Route("/metrics", pages.metrics),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(_app: object) -> AsyncGenerator[None]:
        for served in models:
            if warm:
                served.provider.warm()
        yield
        for served in models:
            served.provider.close()

    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            ApiError: _told,
            HTTPException: _not_here,
            Exception: _crashed,
        },
    )
    return _Door(app, settings)


class _Door:
    """Checks every request before anything else reads it."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            try:
                admit(scope["path"], Headers(scope=scope), self._settings)
                _refuse_bytes(scope.get("query_string", b""))
            except ApiError as error:
                await _answer(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Pages:
    """What is served, how it is, what it has done."""

    def __init__(self, desk: Desk, started: int) -> None:
        self._desk = desk
        self._started = started

    async def models(self, _request: Request) -> Response:
        """List the models."""
        found = [self._card(m) for m in self._desk.models.values()]
        return JSONResponse({"object": "list", "data": found})

    async def model(self, request: Request) -> Response:
        """Describe one model."""
        return JSONResponse(self._card(self._desk.find(request.path_params["name"])))

    async def health(self, _request: Request) -> Response:
        """Tell that the server is alive."""
        return JSONResponse({"status": "ok", "models": list(self._desk.models)})

    async def metrics(self, _request: Request) -> Response:
        """Return the counts for Prometheus."""
        desk = self._desk
        models = desk.models.values()
        gauges = {
            "in_flight": (
                "Requests that are answered or wait.",
                {m.name: desk.taken[m.name] for m in models},
            ),
            "places": (
                "Requests that are taken at a time.",
                {m.name: desk.places(m) for m in models},
            ),
        }
        return PlainTextResponse(desk.metrics.text(gauges), media_type=content_type)

    def _card(self, served: Served) -> dict[str, Any]:
        return {
            "id": served.name,
            "object": "model",
            "created": self._started,
            "owned_by": "llmguard",
            "pin": served.pin.id,
        }


def _refuse_bytes(query: bytes) -> None:
    if not query.isascii():
        raise ApiError(400, "the query of a URL is ASCII: escape the rest")


def _answer(error: ApiError) -> Response:
    return JSONResponse(error.body(), status_code=error.status, headers=error.headers())


async def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this type
    return _answer(error)


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    return _answer(
        ApiError(
            error.status_code,
            f"{request.method} {request.scope['path']}: {error.detail}; this server "
            "has POST /v1/chat/completions, POST /v1/responses, GET /v1/models",
        )
    )


async def _crashed(_request: Request, _error: Exception) -> Response:
    # The traceback goes to the server's log; what it says is none of the client's.
    return _answer(ApiError(500, "the server failed; see its log", kind="server_error"))
