"""Litestar: what guarded calls raise becomes a response.

Litestar answers every exception itself, so it is told how, and the ASGI middleware goes
around the whole application:

    app = LLMGuardMiddleware(
        Litestar([triage], exception_handlers=exception_handlers()), deadline=8.0
    )
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, MutableMapping
from typing import Any, Final, cast

from litestar import Response
from litestar.response import Stream

from ..errors import (
    CallError,
    ConfigError,
    Deferred,
    FallbackExhaustedError,
    StoreError,
)
from .asgi import SCOPE_KEY, LLMGuardMiddleware, Receive, Send, reply
from .sse import Broken, aframes

__all__ = ["event_stream", "exception_handlers"]

_EVENTS: Final = "text/event-stream"
_HANDLED: Final = (Deferred, FallbackExhaustedError, CallError, StoreError)


class _Answered(Response[None]):
    """The response to an exception; made when it is sent, since it may take a while."""

    def __init__(self, error: Exception) -> None:
        super().__init__(None)
        self._error = error

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Return what sends it."""
        return self._send

    async def _send(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        del receive
        middleware: LLMGuardMiddleware | None = scope.get(SCOPE_KEY)
        if middleware is None:
            raise ConfigError(
                "a guarded call failed outside of the middleware: wrap the "
                "application, `app = LLMGuardMiddleware(Litestar(...))`"
            ) from self._error
        answer = await middleware.answer_to(self._error, scope)
        if answer is None:
            raise self._error
        await reply(send, answer)


class _Events(Stream):
    """A stream of events, whatever the annotation of its route makes of the type."""

    def to_asgi_response(self, *args: Any, **options: Any) -> Any:
        """Return what sends it; Litestar has the route's media type go first."""
        made: Any = super()
        return made.to_asgi_response(*args, **{**options, "media_type": _EVENTS})


def exception_handlers() -> dict[type[Exception], Callable[[Any, Any], Any]]:
    """Return `exception_handlers=` of an application."""
    return dict.fromkeys(_HANDLED, _handle)


def _handle(_request: Any, error: Exception) -> Response[None]:
    return _Answered(error)


async def event_stream(
    stream: AsyncIterable[object],
    *,
    broken: Broken = "retract",
    heartbeat: float = 15.0,
) -> Stream:
    """Return a guarded stream as server-sent events; see `llmguard.web.sse`.

    Args:
        stream: What a guarded async generator function returned.
        broken: What the caller is told when it breaks after the first chunk.
        heartbeat: Seconds without a chunk after which a comment is sent.
    """
    return _Events(
        cast("Any", await aframes(stream, broken=broken, heartbeat=heartbeat)),
        media_type=_EVENTS,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
