"""The HTTP clients under the `openai` SDK: one deadline per exchange, checked early.

They are plain httpx (openai 2) or httpx2 (openai 3) clients with event hooks, which is
public in both. The hooks treat the request's read timeout as a limit for the whole
exchange, refuse an HTML page with status 200 (a proxy's or a portal's, never a
model's), and keep the loopback rule of `refuse_remote()` for the raw client too.
"""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, Final, Self, TypeAlias, cast

from ._deadline_backend import DEADLINE, install
from ._sse import Ear, overheard

__all__ = [
    "Guarded",
    "Listen",
    "Observe",
    "facade",
    "guarded_client",
    "load_transport",
]

Guarded: TypeAlias = Any
"""An httpx or httpx2 client, sync or async."""

Observe: TypeAlias = Callable[[str, bytes], None]
"""Told the URL path and the body of every JSON answer; may raise to refuse it."""

Listen: TypeAlias = "Callable[[str], Ear | None]"
"""Asked with the URL path of a stream; returns what listens to it."""

_EXTENSION: Final = "llmguard_deadline"
_END: Final = object()


def load_transport(*, is_async: bool) -> None:
    """Import what a client imports with its first connection.

    Args:
        is_async: For clients of the running event loop.
    """
    codecs.lookup("idna")  # what names of hosts are written in
    if is_async:
        with suppress(ImportError):
            anyio = import_module("anyio")
            _ = anyio.Event(), anyio.connect_tcp, anyio.create_memory_object_stream


def guarded_client(cls: type[Any], check: Callable[[object], None]) -> Guarded:
    """Return a client of `cls` whose exchanges keep to their deadline.

    Args:
        cls: `openai.DefaultHttpxClient` or its async twin.
        check: Called with the URL object before anything is sent; raises to refuse.
    """

    def on_request(request: Any) -> None:
        check(request.url)
        _start(request)

    async def on_request_async(request: Any) -> None:
        on_request(request)

    async def on_response_async(response: Any) -> None:
        _guard(response)

    is_async = hasattr(cls, "aclose")
    client = cls(
        verify=_tls_context(_package(cls)),
        event_hooks={
            "request": [on_request_async if is_async else on_request],
            "response": [on_response_async if is_async else _guard],
        },
    )
    install(client)
    return client


def facade(
    shared: Guarded, *, timeout: float, observe: Observe, listen: Listen
) -> Guarded:
    """Return a cheap client on the connections of `shared`, for one attempt.

    It ends every exchange within `timeout` seconds from now, however late in the
    attempt it starts, shows each JSON answer to `observe` and streams to the ear that
    `listen` gives, and leaves `shared` open when it is closed.
    """
    deadline = time.monotonic() + timeout
    is_async = hasattr(shared, "aclose")

    def cap(request: Any) -> None:
        request.extensions[_EXTENSION] = deadline
        left = max(0.001, deadline - time.monotonic())
        limits = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            key: left if value is None else min(value, left)
            for key, value in limits.items()
        }

    async def cap_async(request: Any) -> None:
        cap(request)

    def attend(response: Any) -> None:
        body = overheard(response)
        ear = None if body is None else listen(response.request.url.path)
        if body is not None and ear is not None:
            base = _stream_base(response)
            response.stream = _joined(body, base)(response.stream, ear)

    def show(response: Any) -> None:
        if _is_json_answer(response):
            observe(response.request.url.path, response.read())
        else:
            attend(response)

    async def show_async(response: Any) -> None:
        if _is_json_answer(response):
            observe(response.request.url.path, await response.aread())
        else:
            attend(response)

    base = _httpx(shared).AsyncClient if is_async else _httpx(shared).Client
    return base(
        transport=_Shared(shared),
        timeout=timeout,
        trust_env=False,
        event_hooks={
            "request": [cap_async if is_async else cap],
            "response": [show_async if is_async else show],
        },
    )


class _Shared:
    """A transport that sends through another client and never closes it."""

    def __init__(self, client: Guarded) -> None:
        self._client = client

    def handle_request(self, request: Any) -> Any:
        return self._client.send(request, stream=True, auth=None)

    async def handle_async_request(self, request: Any) -> Any:
        return await self._client.send(request, stream=True, auth=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None: ...

    def close(self) -> None: ...

    async def aclose(self) -> None: ...


def _httpx(obj: object) -> Any:
    """Return the module, httpx or httpx2, that an object's class comes from."""
    return sys.modules[_package(type(obj))]


def _package(cls: type[Any]) -> str:
    for base in cls.__mro__:
        package = base.__module__.partition(".")[0]
        if package.startswith("httpx"):
            return package
    raise TypeError(f"{cls.__name__} is no httpx class")


@cache
def _tls_context(package: str) -> Any:
    """Return one TLS context for all clients: loading the certificates takes 50 ms."""
    return sys.modules[package].create_ssl_context()


def _start(request: Any) -> None:
    """Fix the deadline of a request; a redirect keeps the first one."""
    if _EXTENSION not in request.extensions:
        limit = request.extensions.get("timeout", {}).get("read")
        deadline = None if limit is None else time.monotonic() + limit
        request.extensions[_EXTENSION] = deadline
    DEADLINE.set(request.extensions[_EXTENSION])


def _guard(response: Any) -> None:
    """Refuse an HTML page and put the body under the request's deadline."""
    httpx = _httpx(response)
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.is_success and kind == "text/html":
        raise httpx.RemoteProtocolError(
            "the endpoint answered with an HTML page", request=response.request
        )
    deadline = response.request.extensions.get(_EXTENSION)
    if deadline is None:
        return
    base = _stream_base(response)
    body = _AsyncBody if hasattr(response.stream, "__aiter__") else _SyncBody
    cls = _joined(body, base)
    response.stream = cls(response.stream, deadline, httpx.ReadTimeout)


def _stream_base(response: Any) -> type[Any]:
    """Return what httpx insists that the body of a response is."""
    httpx: Any = _httpx(response)
    is_async = hasattr(response.stream, "__aiter__")
    base: type[Any] = httpx.AsyncByteStream if is_async else httpx.SyncByteStream
    return base


def _is_json_answer(response: Any) -> bool:
    kind = response.headers.get("content-type", "")
    return bool(response.is_success) and "json" in kind.partition(";")[0]


class _Body:
    """A response body that ends at its deadline, however steadily it trickles."""

    def __init__(self, stream: Any, deadline: float, late: type[Exception]) -> None:
        self._stream = stream
        self._deadline = deadline
        self._late = late

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _tick(self) -> None:
        if time.monotonic() > self._deadline:
            raise self._late("the exchange is past its deadline")
        # Set anew for every chunk: streams of one thread or task may interleave.
        DEADLINE.set(self._deadline)


class _SyncBody(_Body):
    def __iter__(self) -> Iterator[bytes]:
        chunks = iter(self._stream)
        while True:
            self._tick()
            chunk = next(chunks, _END)
            if chunk is _END:
                return
            yield cast("bytes", chunk)

    def close(self) -> None:
        self._stream.close()


class _AsyncBody(_Body):
    # No asynchronous generator: event loops keep a register of those.
    def __aiter__(self) -> Self:
        self._chunks: AsyncIterator[bytes] = aiter(self._stream)
        return self

    def __anext__(self) -> Awaitable[bytes]:
        self._tick()
        return anext(self._chunks)

    async def aclose(self) -> None:
        await self._stream.aclose()


_classes: dict[tuple[type[Any], type[Any]], type[Any]] = {}


def _joined(body: type[Any], base: type[Any]) -> type[Any]:
    """Return the body class as a subclass of httpx's own."""
    made = _classes.get((body, base))
    if made is None:
        made = _classes[body, base] = type(body.__name__, (body, base), {})
    return made
