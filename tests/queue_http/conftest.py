"""The queue's interface over a store of its own, and programs that use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import PostgresServer
from starlette.applications import Starlette
from starlette.testclient import TestClient
from store_backends import emptied, make_store

from llmguard.store import NewTicket, Store, fingerprint
from llmguard.store.access import AccessToken, AccessUser, secret_digest
from llmguard.testing import VirtualClock
from llmguard_fallbacks.console import ConsoleSettings, console_app

SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping"]},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"count": {"type": "integer", "minimum": 1}},
            },
        },
    },
    "required": ["category"],
    "additionalProperties": False,
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0, autojump=True)


@pytest.fixture(scope="session")
def http_schema(postgres_server: PostgresServer) -> str:
    """The URL of a schema that tests empty and use in turn."""
    url = postgres_server.url()
    make_store(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Store]:
    if request.param == "postgresql":
        url = emptied(request.getfixturevalue("http_schema"))
    else:
        url = str(tmp_path / "store.db")
    made = make_store(url, clock=clock, durable=False)
    yield made
    made.close()


@pytest.fixture
def app(store: Store, clock: VirtualClock) -> Starlette:
    # Generated requests bring wrong tokens; limits have tests of their own.
    settings = ConsoleSettings(hosts=("testserver",), rate=100_000, login_rate=100_000)
    return console_app(store, settings=settings, clock=clock)


@pytest.fixture
def program(store: Store, app: Starlette) -> Iterator[Callable[..., TestClient]]:
    """Give a client with a bearer token."""
    made: list[TestClient] = []

    def make(
        name: str = "ann",
        *scopes: str,
        roles: tuple[str, ...] = (),
    ) -> TestClient:
        given = scopes or ("read", "review")
        store.access.put_user(AccessUser(name=name, scopes=given, roles=roles))
        token = AccessToken(id=f"token-{name}", user=name, scopes=given)
        store.access.add_token(token, secret_digest(f"secret of {name}"))
        client = TestClient(
            app,
            base_url="http://testserver/api/v1",
            headers={"authorization": f"Bearer secret of {name}"},
            raise_server_exceptions=False,
        )
        made.append(client)
        return client

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ask(store: Store) -> Callable[..., str]:
    """Make a ticket, and return its id."""
    count = iter(range(1, 10_000))

    def make(**fields: Any) -> str:
        number = next(count)
        given: dict[str, Any] = {
            "id": f"t{number:03}",
            "queue": "triage",
            "key": f"key-{number}",
            "fingerprint": fingerprint(number),
            "inputs": {"ticket": f"text {number}"},
            "schema": SCHEMA,
            "function": "app.triage",
        }
        return store.tickets.enqueue(NewTicket(**{**given, **fields})).ticket.id

    return make
