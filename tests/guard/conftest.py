"""A runtime of the tests' own: seeded jitter, fresh breakers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmguard import config, pins
from llmguard.guard import Runtime, use_runtime
from llmguard.pins.routing import Routed

from .routed import Project


@pytest.fixture(autouse=True)
def runtime() -> Iterator[Runtime]:
    """Give every test breakers and budgets that no other test has touched."""
    with use_runtime(Runtime(rng=random.Random(7))) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Make a folder with a lock the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMGUARD_LOCK", raising=False)
    config.reset()
    pins.forget()
    yield Project(tmp_path)
    config.reset()
    pins.forget()


@pytest.fixture
def routed(runtime: Runtime) -> Routed:
    """Give the runtime of this test a table that the test can replace."""
    routing = Routed()
    runtime.routing = routing
    return routing
