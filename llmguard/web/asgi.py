"""ASGI middleware: for FastAPI, Starlette, and Litestar (see `llmguard.web.litestar`).

Pure ASGI, so context variables and cancellation reach the application as they are:

    app.add_middleware(LLMGuardMiddleware, deadline=8.0, key="header:X-User-ID")
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs

from ..errors import Deferred
from ..guard import call_context, capture
from ._answers import Answer, bad_request, headers_of, leaf
from ._asked import Asked, BadRequest, asked
from ._connection import Connection, Lookout, wire_name
from ._core import Core
from ._options import WebOptions
from ._results import Fetch

__all__ = [
    "SCOPE_KEY",
    "ASGIApp",
    "LLMGuardMiddleware",
    "Receive",
    "Scope",
    "Send",
    "answered",
    "reply",
]

SCOPE_KEY: Final = "llmguard"
"""Where the application finds the middleware in its scope."""

Scope: TypeAlias = MutableMapping[str, Any]
"""What a connection is, as ASGI has it."""
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
"""Gives the next message of the client."""
Send: TypeAlias = Callable[[Message], Awaitable[None]]
"""Takes a message for the client."""
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application."""


class _Seen:
    """An HTTP scope as `Seen`."""

    __slots__ = ("_headers", "_scope", "method", "path", "peer", "root")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._headers: dict[bytes, bytes] | None = None
        self.method: str = scope["method"]
        self.root: str = scope.get("root_path", "")
        path: str = scope["path"]
        # Servers differ in whether `path` holds where the application is mounted.
        self.path = path.removeprefix(self.root) if self.root else path
        client = scope.get("client")
        self.peer: str = "" if client is None else str(client[0])

    def header(self, name: str) -> str | None:
        if self._headers is None:  # of headers sent twice the first one counts
            self._headers = dict(reversed(list(self._scope["headers"])))
        found = self._headers.get(wire_name(name))
        return None if found is None else found.decode("latin-1")

    def cookie(self, name: str) -> str | None:
        try:
            found = SimpleCookie(self.header("cookie") or "").get(name)
        except CookieError:
            return None
        return None if found is None else found.value

    def query(self, name: str) -> str | None:
        text: str = self._scope.get("query_string", b"").decode("latin-1")
        found = parse_qs(text).get(name)
        return found[0] if found else None


class LLMGuardMiddleware:
    """Gives requests a deadline, an id and a key, and their outcomes a response.

    Args:
        app: The application.
        **options: Of `WebOptions`.

    Raises:
        ConfigError: An option cannot work.
    """

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        self.app = app
        self.core = Core(WebOptions(**options))
        self._lookout: Lookout | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; all but HTTP requests pass through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        seen = _Seen(scope)
        own = self.core.find(seen)
        if own is not None:
            answer = self.core.named(await answered(own), seen)
            await reply(send, answer, head=seen.method == "HEAD")
            return
        try:
            request = asked(seen, self.core.options)
        except BadRequest as error:
            await reply(send, self.core.named(bad_request(error), seen))
            return
        await self._guarded(scope, receive, send, request)

    async def _guarded(
        self, scope: Scope, receive: Receive, send: Send, request: Asked
    ) -> None:
        options = self.core.options
        with (
            call_context(deadline=request.deadline, **self.core.context(request)),
            capture() as outcomes,
        ):

            def extra() -> list[tuple[str, str]]:
                return headers_of(
                    outcomes,
                    options.headers,
                    request.request_id,
                    options.request_id_header,
                )

            connection = Connection(receive, send, extra=extra)
            try:
                inner = {**scope, SCOPE_KEY: self}
                await connection.run(self.app, inner, self._on_lookout())
            except Exception as error:
                answer = await self.answer_to(error, scope)
                if answer is None or connection.started:
                    raise
                await reply(connection.send, answer)

    def _on_lookout(self) -> Lookout:
        """Return what looks after the requests of the running event loop."""
        loop, lookout = asyncio.get_running_loop(), self._lookout
        if lookout is None or lookout.loop is not loop:
            lookout = self._lookout = Lookout(loop)
        return lookout

    async def answer_to(self, error: BaseException, scope: Scope) -> Answer | None:
        """Return the response to an exception of ours; None for any other.

        For frameworks that let no exception out: their handlers find this middleware
        in the scope, under `SCOPE_KEY`.
        """
        seen = _Seen(scope)
        if isinstance(leaf(error), Deferred):
            return await asyncio.to_thread(self.core.answer_to, error, seen)
        return self.core.answer_to(error, seen)


async def answered(own: Callable[[], Answer] | Fetch) -> Answer:
    """Return the answer of a route of ours, without blocking."""
    if callable(own):
        return await asyncio.to_thread(own)
    return await _fetch(own)


async def _fetch(flow: Fetch) -> Answer:
    try:
        step = next(flow)
        while True:
            if callable(step):
                step = flow.send(await asyncio.to_thread(step))
            else:
                await asyncio.sleep(step)
                step = flow.send(None)
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


async def reply(send: Send, answer: Answer, *, head: bool = False) -> None:
    """Send a whole response."""
    headers = [
        (wire_name(name), value.encode("latin-1")) for name, value in answer.headers
    ]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    # The caller may be gone; then nobody reads it.
    with contextlib.suppress(OSError):
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": b"" if head else answer.body})
