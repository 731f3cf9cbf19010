"""What holds for every test: nothing of this process goes to the project's store.

`postgres_url` gives a test a PostgreSQL schema of its own; the server is started once
per process, by the first test that asks.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer, find_postgres

from llmguard import config
from llmguard.guard._runtime import default_runtime
from llmguard.store._open import _OPEN

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


@pytest.fixture(autouse=True, scope="session")
def unmanaged() -> None:
    """Keep the keeper thread out; tests that need it start a process of their own."""
    default_runtime().managed = False


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    """Close the stores that a test has opened: a process keeps each until it ends."""
    before = set(_OPEN)
    yield
    for url in set(_OPEN) - before:
        _OPEN.pop(url).close()


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Read the settings anew in each test: those of one folder are not the next's."""
    config.reset()
    yield
    config.reset()


@pytest.fixture(autouse=True)
def unchanged_logging() -> Iterator[None]:
    """Fail the test that leaves the log otherwise than it was, not one of the next."""
    before = _logging()
    yield
    assert before == _logging()


def _logging() -> tuple[int, ...]:
    """What decides whether a warning of ours is seen."""
    ours = logging.getLogger("llmguard")
    seen = (logging.root.level, logging.root.manager.disable, ours.level)
    return (*seen, ours.propagate, ours.disabled)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this test run; a missing one fails the run in CI."""
    programs = find_postgres()
    if programs is None or find_spec("psycopg") is None:
        what = "no `initdb` and `postgres`: `apt-get install postgresql`"
        missing = what if programs is None else "no `psycopg`: the extra `postgres`"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    server = PostgresServer(programs)
    server.start()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of an empty schema that no other test uses."""
    return postgres_server.url()
