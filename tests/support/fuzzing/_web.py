"""Requests to `llmguard serve` and to the middleware's own routes, past any server.

They are handed to the ASGI applications as they are, so that nothing that a server
would refuse is spared them.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from llmguard.adapters.messages import Chunk, Request
from llmguard.outcome import Usage
from llmguard.pins import Pin
from llmguard.reply import Reply
from llmguard.store import NewTicket, SqliteStore
from llmguard.web.asgi import LLMGuardMiddleware
from llmguard_fallbacks.serve._app import make_app
from llmguard_fallbacks.serve._settings import ServeSettings
from llmguard_fallbacks.serve._targets import Served

from ._bytes import Cut

__all__ = ["ask", "serve_target", "web_target"]

TOKEN: Final = "0123456789abcdef"
TICKET: Final = "1m82xtrfrngtv0y3z"
METHODS: Final = ("GET", "POST", "HEAD", "OPTIONS", "DELETE", "")
HEADERS: Final = (
    "host",
    "authorization",
    "content-type",
    "content-length",
    "prefer",
    "idempotency-key",
    "x-request-id",
    "x-request-timeout",
    "grpc-timeout",
    "x-envoy-expected-rq-timeout-ms",
    "cookie",
    "accept",
    "x-forwarded-for",
)
VALUES: Final = (
    b"application/json",
    b"127.0.0.1:8000",
    b"Bearer " + TOKEN.encode(),
    b"wait=0",
    b"1.5s",
    b"99999999H",
)


@dataclass
class Answer:
    """What was sent."""

    status: int = 0
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    ended: bool = False


@cache
def _runner() -> asyncio.Runner:
    runner = asyncio.Runner()
    atexit.register(runner.close)
    return runner


def ask(app: Any, scope: dict[str, Any], body: bytes = b"") -> Answer:
    """Send one request and return what came back."""
    answer = Answer()
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if left:
            return left.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = tuple((k, v) for k, v in message.get("headers", ()))
        else:
            answer.body += message.get("body", b"")
            answer.ended = not message.get("more_body", False)

    _runner().run(app(scope, receive, send))
    return answer


def scope_of(cut: Cut, paths: tuple[str, ...]) -> dict[str, Any]:
    """Return a request's head: mostly sensible, never clean."""
    path = cut.pick((*paths, ""))
    if not path or cut.number(4) == 0:
        path += cut.text(40)
    headers = [(b"content-type", b"application/json")] if cut.number(3) else []
    for _ in range(cut.number(5)):
        name = cut.pick(HEADERS).encode()
        value = cut.pick(VALUES) if cut.number(2) else cut.bytes(48)
        headers.append((name, value))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": cut.pick(METHODS),
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": cut.pick(("", "", "/app")),
        "query_string": cut.bytes(48),
        "headers": headers,
        "client": cut.pick((("127.0.0.1", 5), ("10.0.0.1", 5), None)),
        "server": ("127.0.0.1", 80),
    }


def check(answer: Answer) -> None:
    """An answer is whole, is none of a crash, and its head cannot be broken up."""
    assert 200 <= answer.status < 500 or answer.status == 503, answer
    assert answer.ended
    kind = b""
    for name, value in answer.headers:
        assert not {*b"\r\n\0"} & {*name, *value}, answer
        kind = value if name.lower() == b"content-type" else kind
    if b"json" in kind and answer.body:
        json.loads(answer.body)


class _Provider:
    """Answers like a local model that has read the schema."""

    options = SimpleNamespace(slots=1, places=1)

    def warm(self) -> None: ...

    def close(self) -> None: ...

    async def acomplete(self, request: Request) -> Reply:
        text = '{"a": 1}' if request.schema is not None else "hello"
        return Reply(
            text=text,
            finish_reason="stop",
            usage=Usage(input_tokens=1, output_tokens=2),
            confidence=0.5,
        )

    async def astream(self, request: Request) -> AsyncIterator[Chunk]:
        reply = await self.acomplete(request)
        for sign in reply.text or "":
            yield Chunk(text=sign)
        yield Chunk(reply=reply)


@cache
def _served(token: str) -> Any:
    pin = Pin(route="m", provider="llama.cpp", model="m.gguf")
    provider: Any = _Provider()
    served = Served(name="m", pin=pin, provider=provider)
    return make_app([served], ServeSettings(token=token, max_body=20_000), warm=False)


def serve_target(data: bytes) -> None:
    """No request makes the server answer with its own failure."""
    cut = Cut(data)
    app = _served(cut.pick(("", TOKEN)))
    paths = ("/v1/chat/completions", "/v1/responses", "/v1/models/m", "/metrics")
    scope = scope_of(cut, (*paths, *paths[:2], "/health"))
    if scope["path"] in paths[:2]:
        scope["method"] = "POST"
    check(ask(app, scope, cut.rest()))


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"app"})


@cache
def _guarded(token: str) -> Any:
    folder = Path(tempfile.mkdtemp(prefix="llmguard-fuzz-"))
    store = SqliteStore(folder / "store.db", synchronous="OFF")
    store.tickets.enqueue(
        NewTicket(id=TICKET, queue="q", key="k", fingerprint="f", inputs={})
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(store.close)
    options: dict[str, Any] = {"store": store, "key": "cookie:user", "max_wait": 0.0}
    if not token:
        options["authorize"] = lambda seen, record: True
    return LLMGuardMiddleware(_echo, secret="x" * 32, ops_token=token, **options)


def web_target(data: bytes) -> None:
    """Whatever the request, the middleware answers it or hands it on, unharmed."""
    cut = Cut(data)
    app = _guarded(cut.pick(("", TOKEN)))
    paths = (f"/llmguard/tickets/{TICKET}", "/llmguard/health", "/llmguard/versions")
    check(ask(app, scope_of(cut, (*paths, "/metrics", "/any"))))
