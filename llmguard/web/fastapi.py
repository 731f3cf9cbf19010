"""FastAPI: documented responses, and what a request's guarded calls did.

app = FastAPI()
install(app, deadline=8.0, key="header:X-User-ID")

@app.post("/tickets", responses=guard_responses())
@fallback_chain(...)
async def triage(...): ...
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Annotated, Any, Final, cast

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from ..guard import call_context, current_outcome
from ..outcome import Outcome
from ._options import WebOptions
from .asgi import LLMGuardMiddleware
from .sse import Broken, aframes

__all__ = [
    "LastOutcome",
    "event_stream",
    "guard_responses",
    "install",
    "last_outcome",
    "within",
]

_PROBLEM: Final = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:llmguard:problem:exhausted"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "call": {"type": "string"},
        "tiers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"tier": {"type": "string"}, "kind": {"type": "string"}},
            },
        },
    },
}
_PENDING: Final = {
    "type": "object",
    "required": ["status", "ticket"],
    "properties": {
        "status": {"type": "string", "enum": ["pending"]},
        "ticket": {"type": "string"},
        "location": {"type": "string"},
    },
}
_ANSWERED: Final = {
    "type": "object",
    "required": ["status", "ticket", "value"],
    "properties": {
        "status": {"type": "string", "enum": ["answered"]},
        "ticket": {"type": "string"},
        "value": {},
    },
}
_RETRY: Final = {"Retry-After": {"schema": {"type": "integer"}}}


def guard_responses() -> dict[int | str, dict[str, Any]]:
    """Return `responses=` of a route that is a guarded function."""
    return {
        202: {
            "description": "A person will answer; the result will be at `Location`.",
            "headers": {"Location": {"schema": {"type": "string"}}, **_RETRY},
            "content": {"application/json": {"schema": _PENDING}},
        },
        502: _problem(
            "The model's answer broke its contract and was withheld, or its provider "
            "refuses this request."
        ),
        503: {**_problem("No tier could answer."), "headers": _RETRY},
        504: _problem("No answer within the deadline."),
    }


def install(app: FastAPI, **options: Any) -> None:
    """Add the middleware, and document the route of deferred results.

    Args:
        app: The application.
        **options: Of `WebOptions`.
    """
    app.add_middleware(cast("Any", LLMGuardMiddleware), **options)
    checked = WebOptions(**options)
    if checked.results:
        _document(app, checked)


def last_outcome(request: Request) -> Callable[[], Outcome | None]:  # noqa: ARG001 - marks it as one for requests
    """Return a function that gives the outcome of the last guarded call.

    Write `outcome: LastOutcome` in a route that calls guarded functions, and call it
    after them.
    """
    return current_outcome


LastOutcome = Annotated[Callable[[], Outcome | None], Depends(last_outcome)]
"""Annotate an argument with it: a function that returns the last outcome."""


def within(seconds: float) -> Any:
    """Return a dependency that gives one route's guarded calls a deadline.

    Args:
        seconds: From the moment the route's dependencies are resolved; the request's
            own deadline wins when it is shorter.
    """

    async def limit() -> AsyncIterator[None]:
        with call_context(deadline=seconds):
            yield

    return Depends(limit)


async def event_stream(
    stream: AsyncIterable[object],
    *,
    broken: Broken = "retract",
    heartbeat: float = 15.0,
) -> StreamingResponse:
    """Return a guarded stream as server-sent events; see `llmguard.web.sse`.

    Args:
        stream: What a guarded async generator function returned.
        broken: What the caller is told when it breaks after the first chunk.
        heartbeat: Seconds without a chunk after which a comment is sent.
    """
    return StreamingResponse(
        await aframes(stream, broken=broken, heartbeat=heartbeat),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": _PROBLEM}},
    }


def _document(app: FastAPI, options: WebOptions) -> None:
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        path = f"{options.prefix}/tickets/{{ticket}}"
        document["paths"].setdefault(path, {"get": _results(options)})
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _results(options: WebOptions) -> dict[str, Any]:
    token = {
        "name": "token",
        "in": "query",
        "required": True,
        "schema": {"type": "string"},
        "description": "Part of the `Location` that the 202 response gave.",
    }
    parameters: list[dict[str, Any]] = [
        {
            "name": "ticket",
            "in": "path",
            "required": True,
            "schema": {"type": "string"},
        },
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "examples": ["wait=30"]},
            "description": f"Wait up to {options.max_wait:g} s for the answer.",
        },
    ]
    if options.authorize is None:
        parameters.append(token)
    return {
        "summary": "The answer of a deferred request",
        "operationId": "llmguard_result",
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "A person answered.",
                "content": {"application/json": {"schema": _ANSWERED}},
            },
            "202": {
                "description": "Nobody answered yet.",
                "headers": _RETRY,
                "content": {"application/json": {"schema": _PENDING}},
            },
            "404": _problem("There is no such result for you."),
            "409": _problem("A person declined to answer."),
            "410": _problem("Expired, taken back, or no longer kept."),
        },
    }
