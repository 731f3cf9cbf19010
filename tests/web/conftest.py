"""One small application, once on FastAPI and once on Flask, over a store of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from llmguard import (
    INJECTED,
    Model,
    contract,
    current_outcome,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import (
    ContractError,
    FallbackExhaustedError,
    StoreError,
    TierFailedError,
    TierTimeoutError,
)
from llmguard.guard._deadline import CALL_CONTEXT
from llmguard.guard.tiers import TierContext
from llmguard.outcome import Kind, Violation
from llmguard.store import SqliteStore
from llmguard.testing import HttpError, fake_pin
from llmguard.web.asgi import LLMGuardMiddleware
from llmguard.web.flask import LLMGuard
from llmguard_fallbacks import human

SCHEMA = {"type": "object", "required": ["category"]}
SECRET = "a secret of enough characters"


@dataclass(frozen=True)
class Got:
    """A response, whatever the framework."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class _Names(dict[str, str]):
    """Headers by name, whatever its case."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in pairs)


@dataclass
class World:
    """The application's handlers, and what they saw."""

    store: SqliteStore
    labels: list[Mapping[str, str]]
    keys: list[str]

    def triage(self) -> Any:
        @fallback_chain(static({"category": "other"}))
        @contract(SCHEMA)
        @pinned(fake_pin({"category": "billing"}))
        def triage(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return triage

    def degraded(self) -> Any:
        def seen(call: TierContext) -> bool:
            self.labels.append(call.labels)
            self.keys.append(CALL_CONTEXT.get().key)
            return True

        @fallback_chain(
            static({"category": "other"}, when=seen), static({}, name="last")
        )
        @contract({"type": "object"})
        @pinned(fake_pin(HttpError(500)))
        def degraded(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return degraded

    def later(self) -> Any:
        @fallback_chain(human("web", store=self.store))
        @contract(SCHEMA)
        @pinned(fake_pin(HttpError(500)))
        def later(text: str, *, model: Model = INJECTED) -> dict[str, str]:
            return model.complete(text)

        return later


FAILURES: Mapping[str, Callable[[], Exception]] = {
    "contract": lambda: ContractError(
        "SECRET TEXT",
        kind=Kind.SCHEMA,
        violations=(Violation(path="/a", message="SECRET TEXT"),),
    ),
    "timeout": lambda: TierTimeoutError("SECRET TEXT", kind=Kind.TIMEOUT),
    "exhausted": lambda: FallbackExhaustedError(
        "SECRET TEXT", [TierFailedError("SECRET TEXT", kind=Kind.REFUSAL, tier="one")]
    ),
    "store": lambda: StoreError("SECRET TEXT"),
    "bug": lambda: ZeroDivisionError("SECRET TEXT"),
}

Ask = Callable[..., Got]
Make = Callable[..., Ask]


def _fastapi(world: World, options: dict[str, Any]) -> Ask:
    app = FastAPI()
    triage, degraded, later = world.triage(), world.degraded(), world.later()
    app.add_middleware(LLMGuardMiddleware, **options)

    @app.get("/triage")
    def _triage() -> Any:
        return triage("t")

    @app.get("/degraded")
    def _degraded() -> Any:
        return degraded("t")

    @app.get("/later")
    def _later(text: str = "t") -> Any:
        return later(text)

    @app.get("/deadline")
    def _deadline() -> Any:
        triage("t")
        outcome = current_outcome()
        assert outcome is not None
        return {"deadline": outcome.deadline}

    @app.get("/fail/{name}")
    def _fail(name: str) -> Any:
        error = FAILURES[name]()
        raise error

    async def nearby(scope: Any, receive: Any, send: Any) -> None:
        await app(scope | {"client": ("127.0.0.1", 5)}, receive, send)

    client = TestClient(nearby, raise_server_exceptions=False)

    def ask(path: str, *, method: str = "GET", **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        got = client.request(method, path, headers=named)
        return Got(got.status_code, got.headers, got.text)

    return ask


def _flask(world: World, options: dict[str, Any]) -> Ask:
    app = flask.Flask("shop")
    triage, degraded, later = world.triage(), world.degraded(), world.later()
    LLMGuard(app, **options)

    @app.get("/triage")
    def _triage() -> Any:
        return triage("t")

    @app.get("/degraded")
    def _degraded() -> Any:
        return degraded("t")

    @app.get("/later")
    def _later() -> Any:
        return later(flask.request.args.get("text", "t"))

    @app.get("/deadline")
    def _deadline() -> Any:
        triage("t")
        outcome = current_outcome()
        assert outcome is not None
        return {"deadline": outcome.deadline}

    @app.get("/fail/<name>")
    def _fail(name: str) -> Any:
        error = FAILURES[name]()
        raise error

    def ask(path: str, *, method: str = "GET", **headers: str) -> Got:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with app.test_client() as client:
            got = client.open(path, method=method, headers=named)
            return Got(got.status_code, _Names(got.headers), got.get_data(as_text=True))

    return ask


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield found
    found.close()


@pytest.fixture
def world(store: SqliteStore) -> World:
    return World(store, [], [])


@pytest.fixture(params=[_fastapi, _flask], ids=["fastapi", "flask"])
def make(request: pytest.FixtureRequest, world: World) -> Make:
    """Return a maker of clients of the application, given options."""

    def made(**options: Any) -> Ask:
        settings = {"store": world.store, "secret": SECRET} | options
        ask: Ask = request.param(world, settings)
        return ask

    return made
