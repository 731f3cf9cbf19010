"""What only ASGI has: callers that leave, streams, lifespans, wrapping frameworks."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from uvicorn_server import serving

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.errors import Deferred
from llmguard.outcome import Kind, Outcome
from llmguard.store import SqliteStore
from llmguard.testing import Cut, Hang, fake_pin
from llmguard.web.asgi import LLMGuardMiddleware
from llmguard.web.fastapi import (
    LastOutcome,
    event_stream,
    guard_responses,
    install,
    within,
)

from .conftest import SECRET


def _guarded(seen: list[Outcome], reached: threading.Event) -> Callable[..., Any]:
    @fallback_chain(static({"category": "other"}), deadline=60)
    @contract({"type": "object"})
    @pinned(fake_pin(Hang()))
    async def slow(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        reached.set()
        return await model.acomplete(text)

    async def route() -> Any:
        with capture() as outcomes:
            try:
                return await slow("t")
            finally:
                seen.extend(outcomes)

    return route


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_caller_that_leaves_cancels_its_call(method: str, store: SqliteStore) -> None:
    """The call ends at once, counts as nothing, and is nobody's failure."""
    seen: list[Outcome] = []
    reached, ended = threading.Event(), threading.Event()
    app = FastAPI()
    route = _guarded(seen, reached)

    @app.api_route("/slow", methods=[method])
    async def slow() -> Any:
        try:
            return await route()
        finally:
            ended.set()

    install(app, store=store, secret=SECRET)
    with serving(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as caller:
            body = b"content-length: 2\r\n\r\n{}" if method == "POST" else b"\r\n"
            caller.sendall(f"{method} /slow HTTP/1.1\r\nhost: x\r\n".encode() + body)
            assert reached.wait(10)
        assert ended.wait(10)
    (outcome,) = seen
    assert Kind.CANCELLED is outcome.kind


def test_a_background_task_survives_the_end_of_the_response(
    store: SqliteStore,
) -> None:
    """After a whole response the caller owes nothing, and may go."""
    from starlette.background import BackgroundTask

    done, hung_up = threading.Event(), threading.Event()
    app = FastAPI()

    async def later() -> None:
        await asyncio.to_thread(hung_up.wait, 10)
        await asyncio.sleep(0.1)
        done.set()

    @app.get("/")
    async def route() -> Response:
        return Response("ok", background=BackgroundTask(later))

    install(app, store=store, secret=SECRET)
    with serving(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"200" in caller.recv(4096)
        hung_up.set()
        assert done.wait(10)


def test_a_background_task_can_ask_whether_the_caller_left(
    store: SqliteStore,
) -> None:
    """Also where nobody read the request before the response ended."""
    from starlette.background import BackgroundTask

    asked: list[bool] = []
    app = FastAPI()

    @app.get("/")
    async def route(request: Request) -> Response:
        async def later() -> None:
            asked.append(await request.is_disconnected())

        return Response("ok", background=BackgroundTask(later))

    install(app, store=store, secret=SECRET)
    assert 200 == TestClient(app).get("/").status_code
    assert 1 == len(asked)


def test_a_body_arrives_whole(store: SqliteStore) -> None:
    """Large, chunked, and with a method that usually has none."""
    app = FastAPI()

    @app.api_route("/echo", methods=["POST", "DELETE", "PUT"])
    async def echo(request: Request) -> Any:
        return {"bytes": len(await request.body())}

    install(app, store=store, secret=SECRET)
    client = TestClient(app)
    for method in ("POST", "DELETE", "PUT"):
        sent = client.request(method, "/echo", content=b"x" * 300_000)
        assert {"bytes": 300_000} == sent.json()
        assert {"bytes": 0} == client.request(method, "/echo").json()


def test_a_foreign_cancellation_is_passed_on(store: SqliteStore) -> None:
    """Only the caller's leaving is ours to swallow."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        middleware = LLMGuardMiddleware(app, store=store, secret=SECRET)
        never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        task = asyncio.create_task(
            middleware(scope, lambda: never, _no_send),  # type: ignore[arg-type]  # a future is awaitable
        )
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


async def _no_send(message: Any) -> None:
    raise AssertionError(message)


def test_other_scopes_pass_through(store: SqliteStore) -> None:
    """Lifespans and websockets are the application's."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    middleware = LLMGuardMiddleware(app, store=store)
    for kind in ("lifespan", "websocket"):
        asyncio.run(middleware({"type": kind}, _no_send, _no_send))  # type: ignore[arg-type]  # never called
    assert ["lifespan", "websocket"] == seen


def test_a_mounted_application_says_where_it_is(store: SqliteStore) -> None:
    """`Location` starts with the mount's path, and works."""
    inner = FastAPI()
    install(inner, store=store, secret=SECRET)

    @inner.get("/later")
    def later() -> None:
        raise Deferred("01234567890abcdef", queue="q")

    client = TestClient(Starlette(routes=[Mount("/api", inner)]))
    got = client.get("/api/later")
    assert 202 == got.status_code
    assert got.headers["location"].startswith("/api/llmguard/tickets/0123")
    assert 410 == client.get(got.headers["location"]).status_code


def test_what_a_task_group_wrapped_is_found(store: SqliteStore) -> None:
    """Middlewares that use task groups raise groups of one."""
    app = FastAPI()

    async def dispatch(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(call_next(request))  # type: ignore[arg-type]  # a coroutine
        return task.result()

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    install(app, store=store, secret=SECRET)

    @app.get("/later")
    def later() -> None:
        raise Deferred("01234567890abcdef", queue="q")

    assert 202 == TestClient(app).get("/later").status_code


def _stream(*pins: Any, **options: Any) -> Any:
    @fallback_chain(static("sorry"), **options)
    @contract(str)
    @pinned(*pins)
    async def talk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    return talk


def _events(text: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data[6:])))
    return found


def _client(talk: Any, store: SqliteStore, **options: Any) -> TestClient:
    app = FastAPI()
    install(app, store=store, secret=SECRET)

    @app.get("/talk")
    async def route() -> Any:
        return await event_stream(talk("hi"), **options)

    return TestClient(app)


def test_a_good_stream_ends_with_its_verdict(store: SqliteStore) -> None:
    """Chunks are provisional; the last event says that they may stay."""
    got = _client(_stream(fake_pin("many words stream")), store).get("/talk")
    assert got.headers["content-type"].startswith("text/event-stream")
    *chunks, (last, verdict) = _events(got.text)
    assert "many words stream" == "".join(data["text"] for _, data in chunks)
    assert {"chunk"} == {name for name, _ in chunks}
    assert "verdict" == last
    assert ("ok", True, False) == tuple(
        verdict[key] for key in ("kind", "keep", "degraded")
    )


def test_a_fallback_before_the_first_chunk_is_a_stream_too(
    store: SqliteStore,
) -> None:
    """The lower tier's answer, said to be degraded."""
    *chunks, (_, verdict) = _events(
        _client(_stream(fake_pin(ConnectionError())), store).get("/talk").text
    )
    assert [("chunk", {"text": "sorry"})] == chunks
    assert (True, "static") == (verdict["degraded"], verdict["tier"])


@pytest.mark.parametrize(
    ("broken", "names", "keep"),
    [
        ("retract", {"chunk", "verdict"}, False),
        ("keep", {"chunk", "verdict"}, True),
        (lambda error: {"say": "sorry"}, {"chunk", "replace", "verdict"}, False),
    ],
)
def test_a_stream_that_breaks_after_its_first_chunk(
    broken: Any, names: set[str], keep: bool, store: SqliteStore
) -> None:
    """The declared policy, and the kind of the failure."""
    talk = _stream(fake_pin(Cut("one two three four")))
    events = _events(_client(talk, store, broken=broken).get("/talk").text)
    assert names == {name for name, _ in events}
    _, verdict = events[-1]
    assert "ok" != verdict["kind"]
    assert keep is verdict["keep"]
    if callable(broken):
        assert ("replace", {"value": {"say": "sorry"}}) == events[-2]


def test_a_silent_stream_keeps_its_connection(store: SqliteStore) -> None:
    """A comment goes out while the model thinks."""

    async def slow() -> AsyncIterator[str]:
        yield "one"
        await asyncio.sleep(0.3)
        yield "two"

    app = FastAPI()

    @app.get("/talk")
    async def route() -> Any:
        return await event_stream(slow(), heartbeat=0.05)

    text = TestClient(app).get("/talk").text
    assert ": still here\n\n" in text
    assert text.index("one") < text.index(": still here") < text.index("two")


def test_fastapi_documents_what_can_happen(store: SqliteStore) -> None:
    """202, 502, 503 and 504 of the route, and the route of results."""
    app = FastAPI()
    install(app, store=store, secret=SECRET)
    seen: list[Outcome | None] = []

    @fallback_chain(static({"category": "other"}))
    @contract({"type": "object"})
    @pinned(fake_pin({"category": "billing"}))
    async def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
        return await model.acomplete(text)

    @app.get("/triage", responses=guard_responses(), dependencies=[within(3.0)])
    async def route(outcome: LastOutcome) -> Any:
        answer = await triage("t")
        seen.append(outcome())
        return answer

    client = TestClient(app)
    assert {"category": "billing"} == client.get("/triage").json()
    assert seen[0] is not None
    assert 3.0 == pytest.approx(seen[0].deadline, abs=0.3)
    paths = client.get("/openapi.json").json()["paths"]
    assert {"200", "202", "502", "503", "504"} == set(
        paths["/triage"]["get"]["responses"]
    )
    assert "Location" in paths["/triage"]["get"]["responses"]["202"]["headers"]
    results = paths["/llmguard/tickets/{ticket}"]["get"]
    assert {"200", "202", "404", "409", "410"} == set(results["responses"])
    assert [] == paths["/triage"]["get"].get("parameters", [])
