"""One small application, on every framework, over a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard.store import SqliteStore

from .frameworks import FRAMEWORKS
from .world import FAILURES, SCHEMA, SECRET, Ask, Got, Make, World

__all__ = ["FAILURES", "SCHEMA", "SECRET", "Ask", "Got", "Make", "World"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = SqliteStore(tmp_path / "store.db", synchronous="OFF")
    yield found
    found.close()


@pytest.fixture
def world(store: SqliteStore) -> World:
    return World(store, [], [])


@pytest.fixture(params=FRAMEWORKS.values(), ids=FRAMEWORKS)
def make(request: pytest.FixtureRequest, world: World) -> Make:
    """Return a maker of clients of the application, given options."""

    def made(**options: Any) -> Ask:
        settings = {"store": world.store, "secret": SECRET} | options
        ask: Ask = request.param(world, settings)
        return ask

    return made
