"""Django: one middleware for WSGI and ASGI.

    MIDDLEWARE = ["llmguard.web.django.LLMGuardMiddleware", ...]
    LLMGUARD = {"deadline": 8.0, "key": "cookie:sessionid"}

It goes to the top of the list. Under ASGI, Django (5.0 and later) cancels the view of a
caller that has left; the call then counts as nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from ..guard._request import RequestContext
from . import asgi, wsgi
from ._answers import Answer, bad_request, headers_of
from ._asked import Asked, BadRequest, asked
from ._core import Core
from ._options import WebOptions
from .sse import Broken, aframes, frames
from .wsgi import EnvironSeen

__all__ = ["LLMGuardMiddleware", "aevent_stream", "event_stream"]

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class LLMGuardMiddleware:
    """Gives requests a deadline, an id and a key, and their outcomes a response.

    Options of `WebOptions` come from the setting `LLMGUARD`.

    Args:
        get_response: What Django gives: the next middleware, or the view.

    Raises:
        ConfigError: An option cannot work.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._next = get_response
        self.core = Core(WebOptions(**getattr(settings, "LLMGUARD", {})))
        self._async: bool = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated] - it sees what asgiref has marked
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request."""
        return self._aserve(request) if self._async else self._serve(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        """Turn what a guarded call raised into a response; Django calls it."""
        answer = self.core.answer_to(error, _seen(request))
        return None if answer is None else _response(answer)

    def _serve(self, request: HttpRequest) -> Any:
        seen = _seen(request)
        own = self.core.find(seen)
        if own is not None:
            answer = self.core.named(wsgi.answered(own), seen)
            return _response(answer, head=_is_head(request))
        try:
            wanted = asked(seen, self.core.options)
        except BadRequest as error:
            return _response(self.core.named(bad_request(error), seen))
        context = self._context(wanted)
        with context:
            response = self._next(request)
        return self._told(response, context, wanted)

    async def _aserve(self, request: HttpRequest) -> Any:
        seen = _seen(request)
        own = self.core.find(seen)
        if own is not None:
            answer = self.core.named(await asgi.answered(own), seen)
            return _response(answer, head=_is_head(request))
        try:
            wanted = asked(seen, self.core.options)
        except BadRequest as error:
            return _response(self.core.named(bad_request(error), seen))
        context = self._context(wanted)
        with context:
            response = await self._next(request)
        return self._told(response, context, wanted)

    def _context(self, wanted: Asked) -> RequestContext:
        return RequestContext(deadline=wanted.deadline, **self.core.context(wanted))

    def _told(self, response: Any, context: RequestContext, wanted: Asked) -> Any:
        """Add the headers; what is streamed goes on in the request's context."""
        options = self.core.options
        for name, value in headers_of(
            context.outcomes,
            options.headers,
            wanted.request_id,
            options.request_id_header,
        ):
            response.headers[name] = value
        if getattr(response, "streaming", False):
            body = response.streaming_content
            made = _astream if response.is_async else _stream
            response.streaming_content = made(body, context)
        return response


def event_stream(
    stream: Iterable[object], *, broken: Broken = "retract"
) -> StreamingHttpResponse:
    """Return a guarded stream as server-sent events; see `llmguard.web.sse`.

    Args:
        stream: What a guarded generator function returned.
        broken: What the caller is told when it breaks after the first chunk.
    """
    return StreamingHttpResponse(
        frames(stream, broken=broken), "text/event-stream", headers=_HEADERS
    )


async def aevent_stream(
    stream: AsyncIterable[object],
    *,
    broken: Broken = "retract",
    heartbeat: float = 15.0,
) -> StreamingHttpResponse:
    """Return a guarded async stream as server-sent events, for async views.

    Args:
        stream: What a guarded async generator function returned.
        broken: What the caller is told when it breaks after the first chunk.
        heartbeat: Seconds without a chunk after which a comment is sent.
    """
    events = await aframes(stream, broken=broken, heartbeat=heartbeat)
    return StreamingHttpResponse(events, "text/event-stream", headers=_HEADERS)


def _seen(request: HttpRequest) -> EnvironSeen:
    # Django fills it as WSGI does, under ASGI too.
    given: Any = request
    return EnvironSeen(cast("dict[str, Any]", given.META))


def _is_head(request: HttpRequest) -> bool:
    given: Any = request
    return bool(given.method == "HEAD")


def _response(answer: Answer, *, head: bool = False) -> HttpResponse:
    response = HttpResponse(
        b"" if head else answer.body,
        status=answer.status,
        headers=dict(answer.headers),
    )
    response.headers["Content-Length"] = str(len(answer.body))
    return response


def _stream(body: Iterable[bytes], context: RequestContext) -> Iterable[bytes]:
    chunks = iter(body)
    try:
        while True:
            with context:
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            with context:
                close()


async def _astream(
    body: AsyncIterator[bytes], context: RequestContext
) -> AsyncIterator[bytes]:
    chunks = aiter(body)
    try:
        while True:
            with context:
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            with context:
                await close()
