"""What only WSGI and Flask have: bodies read later, config keys, plain applications."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults

import flask
import pytest

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.errors import ConfigError, Deferred
from llmguard.guard._deadline import CALL_CONTEXT
from llmguard.store import SqliteStore
from llmguard.testing import Cut, HttpError, fake_pin
from llmguard.web.flask import LLMGuard, event_stream
from llmguard.web.wsgi import LLMGuardMiddleware

from .conftest import SECRET


def _talk(pin: Any) -> Any:
    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(pin)
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    return talk


def _app(store: SqliteStore, talk: Any, **options: Any) -> flask.Flask:
    app = flask.Flask("shop")
    LLMGuard(app, store=store, secret=SECRET)

    @app.get("/talk")
    def route() -> flask.Response:
        return event_stream(talk("hi"), **options)

    @app.get("/deadline")
    def deadline() -> Iterator[str]:
        # Runs while the server reads the body, after the view has returned.
        yield str(CALL_CONTEXT.get().deadline_at is not None)

    return app


def _names(text: str) -> list[str]:
    return [line[7:] for line in text.splitlines() if line.startswith("event: ")]


def test_flask_streams_events(store: SqliteStore) -> None:
    """Chunks, then the verdict; the lower tier's answer where the first one fails."""
    with _app(store, _talk(fake_pin("many words"))).test_client() as client:
        got = client.get("/talk")
        assert "text/event-stream" == got.mimetype
        assert "verdict" == _names(got.text)[-1]
    with _app(store, _talk(fake_pin(HttpError(500)))).test_client() as client:
        text = client.get("/talk").text
        assert ["chunk", "verdict"] == _names(text)
        assert '"sorry"' in text


@pytest.mark.parametrize(
    ("broken", "last"), [("retract", False), (lambda error: "sorry", False)]
)
def test_flask_streams_that_break(store: SqliteStore, broken: Any, last: bool) -> None:
    """The declared policy after the first chunk."""
    app = _app(store, _talk(fake_pin(Cut("one two three"))), broken=broken)
    with app.test_client() as client:
        text = client.get("/talk").text
    assert callable(broken) is ("replace" in _names(text))
    verdict = json.loads(text.strip().rpartition("data: ")[2])
    assert last is verdict["keep"]


def test_a_body_read_later_is_still_the_request(store: SqliteStore) -> None:
    """The context lives as long as the body, and leaves nothing behind."""
    with _app(store, None).test_client() as client:
        assert (
            "True" == client.get("/deadline", headers={"X-Request-Timeout": "9"}).text
        )
        assert "False" == client.get("/deadline").text
    assert None is CALL_CONTEXT.get().deadline_at


def test_a_body_nobody_closes_does_no_harm(store: SqliteStore) -> None:
    """Between two chunks, and after a body that was dropped, nothing is left."""
    limits: list[Any] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        limits.append(CALL_CONTEXT.get().deadline_at)
        start_response("200 OK", [])
        yield b"one"
        limits.append(CALL_CONTEXT.get().deadline_at)
        yield b"two"

    middleware = LLMGuardMiddleware(app, store=store)
    limit = {"HTTP_X_REQUEST_TIMEOUT": "9"}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **limit}
    body = iter(middleware(environ, _start([])))
    assert b"one" == next(body)
    assert None is CALL_CONTEXT.get().deadline_at
    assert b"two" == next(body)
    assert limits[0] is not None
    assert limits[:1] == limits[1:]
    del body
    gc.collect()
    assert None is CALL_CONTEXT.get().deadline_at


def test_a_response_that_is_not_read_leaves_nothing(store: SqliteStore) -> None:
    """Tests of Flask applications look at a status and go on."""
    client = _app(store, None).test_client()
    got = client.get("/deadline", headers={"X-Request-Timeout": "9"})
    assert 200 == got.status_code
    assert None is CALL_CONTEXT.get().deadline_at
    with capture() as outcomes:
        assert [] == outcomes
    got.close()


def _start(seen: list[Any]) -> Any:
    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        seen.append((status, dict(headers)))
        return lambda data: None

    return start


def test_a_plain_application_under_a_script_name(store: SqliteStore) -> None:
    """Deferred becomes 202 with the mount in its `Location`; headers are added once."""

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/later":
            raise Deferred("01234567890abcdef", queue="q")
        start_response("200 OK", [("X-Request-ID", "mine")])
        return [b"fine"]

    middleware = LLMGuardMiddleware(app, store=store, secret=SECRET)
    seen: list[Any] = []
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/api", "PATH_INFO": "/later"}
    body = b"".join(middleware(environ, _start(seen)))
    assert "202 Accepted" == seen[0][0]
    assert json.loads(body)["location"] == seen[0][1]["Location"]
    assert seen[0][1]["Location"].startswith("/api/llmguard/tickets/0123")
    fine = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_X_REQUEST_ID": "r-1"}
    assert [b"fine"] == list(middleware(fine, _start(seen)))
    assert {"X-Request-ID": "r-1"} == seen[1][1]


def _served(app: Any, store: SqliteStore) -> tuple[bytes, bytes, str]:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    out, problems = BytesIO(), StringIO()
    server = SimpleHandler(BytesIO(), out, problems, environ)
    server.run(LLMGuardMiddleware(app, store=store, secret=SECRET))
    head, _, body = out.getvalue().partition(b"\r\n\r\n")
    return head, body, problems.getvalue()


def test_an_application_that_had_begun_its_response(store: SqliteStore) -> None:
    """As plain ones do before they work: the caller still gets the ticket."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        raise Deferred("01234567890abcdef", queue="q")

    head, body, problems = _served(app, store)
    assert "" == problems
    assert head.startswith(b"HTTP/1.0 202 Accepted")
    assert "01234567890abcdef" == json.loads(body)["ticket"]


def _chunked(*chunks: bytes) -> Any:
    """Return an application that sends chunks, and then needs a person."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield from chunks
        raise Deferred("01234567890abcdef", queue="q")

    return app


def test_an_application_that_is_a_generator(store: SqliteStore) -> None:
    """It works only when its first chunk is asked for."""
    head, body, problems = _served(_chunked(), store)
    assert "" == problems
    assert head.startswith(b"HTTP/1.0 202 Accepted")
    assert "01234567890abcdef" == json.loads(body)["ticket"]


def test_a_response_that_was_begun_is_not_replaced(store: SqliteStore) -> None:
    """After its first byte the status is sent: the server sees the error."""
    head, body, problems = _served(_chunked(b"so far"), store)
    assert head.startswith(b"HTTP/1.0 200 OK")
    assert b"so far" == body
    assert "Deferred" in problems


def test_flask_reads_its_config(store: SqliteStore) -> None:
    """`LLMGUARD_NAME` is the option `name`; a misspelt one is named."""
    app = flask.Flask("shop")
    app.config["LLMGUARD_PREFIX"] = "/guard"
    app.config["LLMGUARD_STORE"] = store
    LLMGuard().init_app(app)
    with app.test_client() as client:
        assert 200 == client.get("/guard/health/live").status_code
    with pytest.raises(ConfigError, match="already"):
        LLMGuard(app)
    other = flask.Flask("other")
    other.config["LLMGUARD_DEADLIN"] = 3
    with pytest.raises(ConfigError, match="did you mean `LLMGUARD_DEADLINE`"):
        LLMGuard(other)


def test_a_new_name_is_not_imported_for_others() -> None:
    """`import llmguard.web` brings no framework along."""
    import subprocess
    import sys

    code = (
        "import sys, llmguard.web, llmguard.web.asgi, llmguard.web.wsgi;"
        "print([m for m in ('fastapi', 'flask', 'starlette') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]" == done.stdout.strip()
