"""A store on disk, a contract, and calls as the guard would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from postgres_server import PostgresServer
from pydantic import BaseModel
from store_backends import emptied, make_store

from llmguard.contract import Contract
from llmguard.guard.tiers import TierContext
from llmguard.outcome import Attempt, Kind, Violation
from llmguard.store import SqliteStore, Store
from llmguard.testing import VirtualClock


class Triage(BaseModel):
    """What the calls in these tests want to know."""

    category: Literal["billing", "shipping"]
    order_id: str | None


ATTEMPTS = (
    Attempt(
        tier="remote",
        tier_index=0,
        number=1,
        kind=Kind.TIMEOUT,
        started=0.0,
        elapsed=1.0,
        pin="p-1",
        detail="no answer in 1 s",
    ),
    Attempt(
        tier="rules",
        tier_index=1,
        number=1,
        kind=Kind.SCHEMA,
        started=1.0,
        elapsed=0.0,
        violations=(Violation(path="/category", message="is 'refund'", check="enum"),),
    ),
)


@pytest.fixture(scope="session")
def queue_schema(postgres_server: PostgresServer) -> str:
    """The URL of a schema that tests empty and use in turn."""
    url = postgres_server.url()
    make_store(url).close()
    return url


@pytest.fixture
def triage() -> type[Triage]:
    return Triage


@pytest.fixture
def contract() -> Contract:
    return Contract(Triage, name="triage")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000_000.0, autojump=True)


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store in a file, for what happens to files."""
    store = SqliteStore(tmp_path / "s.db")
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, on one backend and then on the other."""
    if request.param == "postgresql":
        store = make_store(emptied(request.getfixturevalue("queue_schema")))
    else:
        store = SqliteStore(tmp_path / "s.db")
    yield store
    store.close()


@pytest.fixture
def call(contract: Contract) -> Callable[..., TierContext]:
    """Make a call context; keywords replace its fields."""

    def make(call_id: str = "c1", **fields: object) -> TierContext:
        given: dict[str, object] = {
            "call_id": call_id,
            "function": "app.triage",
            "inputs": {"ticket": "I was charged twice"},
            "contract": contract,
            "remaining": lambda: 8.0,
            "attempts": ATTEMPTS,
        }
        return TierContext(**{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords

    return make
