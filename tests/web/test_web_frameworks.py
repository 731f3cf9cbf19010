"""What Litestar and Django have of their own: async views, streams, lost callers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path
from litestar import Litestar, get
from uvicorn_server import serving

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.errors import Deferred
from llmguard.outcome import Kind, Outcome
from llmguard.store import SqliteStore
from llmguard.testing import Cut, Hang, HttpError, fake_pin
from llmguard.web import django as web_django
from llmguard.web import litestar as web_litestar
from llmguard.web.asgi import LLMGuardMiddleware

from .frameworks import asgi_client, django_handler, wsgi_client
from .world import SECRET, Got

PINS = {
    "good": lambda: fake_pin("many words"),
    "down": lambda: fake_pin(HttpError(500)),
    "cut": lambda: fake_pin(Cut("one two three")),
}


def _agen(pin: Any) -> Any:
    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(pin)
    async def talk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    return talk


def _gen(pin: Any) -> Any:
    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(pin)
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    return talk


def _events(got: Got) -> list[tuple[str, Any]]:
    assert got.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in got.text.strip().split("\n\n")]
    return [(name[7:], json.loads(data[6:])) for name, data in blocks]


def _litestar_stream(pin: Any, store: SqliteStore, broken: Any) -> Got:
    talk = _agen(pin)

    @get("/talk")
    async def route() -> Any:
        return await web_litestar.event_stream(talk("hi"), broken=broken)

    app = Litestar([route], openapi_config=None, logging_config=None)
    guarded = LLMGuardMiddleware(app, store=store, secret=SECRET)
    return asgi_client(guarded)("/talk")


def _django_async_stream(pin: Any, store: SqliteStore, broken: Any) -> Got:
    talk = _agen(pin)

    async def view(request: HttpRequest) -> Any:
        return await web_django.aevent_stream(talk("hi"), broken=broken)

    options = {"store": store, "secret": SECRET}
    return asgi_client(django_handler(ASGIHandler, [path("talk", view)], options))(
        "/talk"
    )


def _django_stream(pin: Any, store: SqliteStore, broken: Any) -> Got:
    talk = _gen(pin)

    def view(request: HttpRequest) -> Any:
        return web_django.event_stream(talk("hi"), broken=broken)

    options = {"store": store, "secret": SECRET}
    return wsgi_client(django_handler(WSGIHandler, [path("talk", view)], options))(
        "/talk"
    )


STREAMS = {
    "litestar": _litestar_stream,
    "django-asgi": _django_async_stream,
    "django-wsgi": _django_stream,
}


@pytest.fixture(params=STREAMS.values(), ids=STREAMS)
def stream(request: pytest.FixtureRequest, store: SqliteStore) -> Any:
    """Return how to read a stream of a framework."""
    return lambda pin, broken="retract": request.param(pin, store, broken)


@pytest.mark.parametrize(
    ("pin", "names", "tier", "keep"),
    [
        ("good", ["chunk", "verdict"], "fake", True),
        ("down", ["chunk", "verdict"], "static", True),
        ("cut", ["chunk", "verdict"], None, False),
    ],
)
def test_streams_end_with_a_verdict(
    pin: str, names: list[str], tier: str | None, keep: bool, stream: Any
) -> None:
    """A good one, a fallback before the first chunk, one that breaks after it."""
    events = _events(stream(PINS[pin]()))
    assert names == [events[0][0], events[-1][0]]
    _, verdict = events[-1]
    assert keep is verdict["keep"]
    assert tier == verdict.get("tier")


def test_a_broken_stream_is_replaced(stream: Any) -> None:
    """By what a function of the error returns."""
    events = _events(stream(PINS["cut"](), lambda error: "sorry"))
    assert ("replace", {"value": "sorry"}) == events[-2]


def test_an_async_view_may_be_answered_by_a_person(store: SqliteStore) -> None:
    """202 with a place that works, under Django's ASGI handler."""

    async def view(request: HttpRequest) -> Any:
        raise Deferred("01234567890abcdef", queue="q")

    options = {"store": store, "secret": SECRET}
    ask = asgi_client(django_handler(ASGIHandler, [path("later", view)], options))
    got = ask("/later")
    assert 202 == got.status
    assert 410 == ask(got.headers["location"]).status


def test_litestar_without_the_middleware_says_what_is_missing() -> None:
    """The handlers know nothing of deadlines and places; the middleware does."""

    @get("/later")
    async def route() -> None:
        raise Deferred("01234567890abcdef", queue="q")

    handlers = web_litestar.exception_handlers()
    app = Litestar(
        [route], exception_handlers=handlers, openapi_config=None, logging_config=None
    )
    assert 500 == asgi_client(app)("/later").status


def _django_slow(slow: Any, store: SqliteStore) -> Any:
    async def view(request: HttpRequest) -> Any:
        return JsonResponse(await slow())

    options = {"store": store, "secret": SECRET}
    return django_handler(ASGIHandler, [path("slow", view)], options)


def _litestar_slow(slow: Any, store: SqliteStore) -> Any:
    @get("/slow")
    async def route() -> dict[str, Any]:
        found: dict[str, Any] = await slow()
        return found

    app = Litestar([route], openapi_config=None, logging_config=None)
    return LLMGuardMiddleware(app, store=store, secret=SECRET)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            _django_slow,
            marks=pytest.mark.skipif(
                django.VERSION < (5, 0), reason="Django before 5.0 does not tell"
            ),
        ),
        _litestar_slow,
    ],
)
def test_a_caller_that_leaves_cancels_its_call(make: Any, store: SqliteStore) -> None:
    """On uvicorn: the call ends at once, and counts as nothing."""
    seen: list[Outcome] = []
    reached, ended = threading.Event(), threading.Event()

    @fallback_chain(static({"category": "other"}), deadline=60)
    @contract({"type": "object"})
    @pinned(fake_pin(Hang()))
    async def slow(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        reached.set()
        return await model.acomplete(text)

    async def call() -> Any:
        with capture() as outcomes:
            try:
                return await slow("t")
            finally:
                seen.extend(outcomes)
                ended.set()

    with serving(make(call, store)) as port:
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
            assert reached.wait(10)
        assert ended.wait(10)
    assert [Kind.CANCELLED] == [outcome.kind for outcome in seen]
