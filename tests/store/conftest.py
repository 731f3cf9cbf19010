"""One conformance suite for every backend: a new one is one more URL here."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from store_backends import emptied, make_store

from llmguard.store import NewTicket, Store, fingerprint
from llmguard.testing import VirtualClock

SCHEMA = {
    "type": "object",
    "properties": {
        "category": {"enum": ["billing", "shipping"]},
        "order_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["category"],
    "additionalProperties": False,
}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, on one backend and then on the other."""
    if request.param == "postgresql":
        return emptied(request.getfixturevalue("shared_schema"))
    return str(tmp_path / "store.db")


@pytest.fixture(scope="session")
def shared_schema(postgres_server: PostgresServer) -> str:
    """The URL of a schema that tests empty and use in turn."""
    url = postgres_server.url()
    make_store(url).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Give URLs of empty stores, as many as wanted, on one backend and the other."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("shared_schema")
        return lambda: emptied(url)
    numbers = itertools.count(1)
    return lambda: str(tmp_path / f"{next(numbers)}.db")


@pytest.fixture
def open_again(store_url: str, clock: VirtualClock) -> Iterator[Callable[[], Store]]:
    """Open the same store once more, as another process would."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(make_store(store_url, clock=clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[[], Store]) -> Store:
    return open_again()


@pytest.fixture
def new_ticket() -> Callable[..., NewTicket]:
    """Make tickets that differ in id, key and content unless told otherwise."""
    numbers = itertools.count(1)

    def make(**fields: object) -> NewTicket:
        number = next(numbers)
        given: dict[str, object] = {
            "id": f"t{number:04}",
            "queue": "triage",
            "key": f"key-{number}",
            "fingerprint": fingerprint(number),
            "inputs": {"ticket": f"text {number}"},
            "schema": SCHEMA,
        }
        return NewTicket(**{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords

    return make
