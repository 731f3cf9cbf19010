"""WSGI middleware: for Bottle, Pyramid, and Flask (see `llmguard.web.flask`).

WSGI cannot see a caller leave and cannot interrupt a request: a guarded call ends by
its deadline, and an answer nobody waits for is thrown away.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ..guard._request import RequestContext
from ..outcome import Outcome
from ._answers import Answer, bad_request, headers_of
from ._asked import Asked, BadRequest, asked
from ._core import Core
from ._options import WebOptions
from ._results import Fetch

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["EnvironSeen", "LLMGuardMiddleware", "answered"]


class EnvironSeen:
    """A WSGI environment as `Seen`."""

    __slots__ = ("_environ", "method", "path", "peer", "root")

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.root: str = environ.get("SCRIPT_NAME", "").rstrip("/")
        self.path: str = environ.get("PATH_INFO", "") or "/"
        self.peer: str = environ.get("REMOTE_ADDR", "") or ""

    def header(self, name: str) -> str | None:
        """Return a header, whatever its case."""
        key = name.upper().replace("-", "_")
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        found = self._environ.get(key)
        return None if found is None else str(found)

    def cookie(self, name: str) -> str | None:
        """Return a cookie."""
        try:
            found = SimpleCookie(self.header("cookie") or "").get(name)
        except CookieError:
            return None
        return None if found is None else found.value

    def query(self, name: str) -> str | None:
        """Return the first value of a query parameter."""
        found = parse_qs(self._environ.get("QUERY_STRING", "")).get(name)
        return found[0] if found else None


class LLMGuardMiddleware:
    """Gives requests a deadline, an id and a key, and their outcomes a response.

    Args:
        app: The application.
        **options: Of `WebOptions`.

    Raises:
        ConfigError: An option cannot work.
    """

    def __init__(self, app: WSGIApplication, **options: Any) -> None:
        self.app = app
        self.core = Core(WebOptions(**options))

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        seen = EnvironSeen(environ)
        own = self.core.find(seen)
        if own is not None:
            head = seen.method == "HEAD"
            answer = self.core.named(answered(own), seen)
            return _reply(start_response, answer, head=head)
        try:
            request = asked(seen, self.core.options)
        except BadRequest as error:
            return _reply(start_response, self.core.named(bad_request(error), seen))
        return self._guarded(environ, start_response, seen, request)

    def answer_to(self, error: BaseException, seen: EnvironSeen) -> Answer | None:
        """Return the response to an exception of ours; None for any other."""
        return self.core.answer_to(error, seen)

    def _guarded(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        seen: EnvironSeen,
        request: Asked,
    ) -> Iterable[bytes]:
        context = RequestContext(
            deadline=request.deadline, **self.core.context(request)
        )
        begin = self._starter(start_response, context.outcomes, request)

        def instead(error: Exception) -> Iterable[bytes] | None:
            answer = self.answer_to(error, seen)
            if answer is None:
                return None
            # It may have begun a response before it called a model.
            return _reply(begin, answer, instead_of=sys.exc_info())

        try:
            with context:
                return _Body(self.app(environ, begin), context, instead)
        except Exception as error:
            body = instead(error)
            if body is None:
                raise
            return body

    def _starter(
        self, start_response: StartResponse, outcomes: list[Outcome], request: Asked
    ) -> StartResponse:
        options = self.core.options

        def begin(
            status: str, headers: list[tuple[str, str]], *error: Any
        ) -> Callable[[bytes], object]:
            added = headers_of(
                outcomes,
                options.headers,
                request.request_id,
                options.request_id_header,
            )
            own = {name.lower() for name, _ in added}
            kept = [pair for pair in headers if pair[0].lower() not in own]
            return start_response(status, [*kept, *added], *error)

        return begin


class _Body:
    """A response's body; each chunk is made in the request's context.

    Args:
        body: The application's.
        context: The request's.
        instead: Gives the body that replaces one which failed before its first byte.
    """

    def __init__(
        self,
        body: Iterable[bytes],
        context: RequestContext,
        instead: Callable[[Exception], Iterable[bytes] | None],
    ) -> None:
        self._body = body
        self._context = context
        self._instead = instead

    def __iter__(self) -> Iterator[bytes]:
        with self._context:
            chunks = iter(self._body)
        sent = False
        while True:
            try:
                with self._context:
                    chunk = next(chunks, None)
            except Exception as error:
                # An application that is a generator runs only now.
                body = None if sent else self._instead(error)
                if body is None:
                    raise
                yield from body
                return
            if chunk is None:
                return
            yield chunk
            sent = sent or bool(chunk)

    def close(self) -> None:
        """Close the application's own body."""
        close = getattr(self._body, "close", None)
        if close is not None:
            with self._context:
                close()


def answered(own: Callable[[], Answer] | Fetch) -> Answer:
    """Return the answer of a route of ours; it may block."""
    return own() if callable(own) else _fetch(own)


def _fetch(flow: Fetch) -> Answer:
    try:
        step = next(flow)
        while True:
            if callable(step):
                step = flow.send(step())
            else:
                time.sleep(step)
                step = flow.send(None)
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


def _reply(
    start_response: StartResponse,
    answer: Answer,
    *,
    head: bool = False,
    instead_of: Any = None,
) -> Iterable[bytes]:
    headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
    phrase = HTTPStatus(answer.status).phrase
    status = f"{answer.status} {phrase}"
    if instead_of is None:
        start_response(status, headers)
    else:
        start_response(status, headers, instead_of)
    return [b"" if head else answer.body]
