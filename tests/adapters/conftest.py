"""Fixtures of the adapter tests: a server that fails, and pins that name it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmguard.adapters import Model, close_providers, provider_for
from llmguard.pins import Pin
from llmguard.testing import FaultServer


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    yield
    close_providers("openai")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(answer='{"category": "billing"}', delay=3.0) as running:
        yield running


@pytest.fixture
def pin_for() -> Callable[..., Pin]:
    def make(endpoint: str | None, **fields: object) -> Pin:
        fields = {"route": "triage", "provider": "openai", "model": "m-1"} | fields
        return Pin(endpoint=endpoint, **fields)

    return make


@pytest.fixture
def model_for(pin_for: Callable[..., Pin]) -> Callable[..., Model]:
    def make(endpoint: str | None, *, seconds: float = 20.0, **fields: object) -> Model:
        pin = pin_for(endpoint, **fields)
        return Model(pin, provider_for(pin), remaining=lambda: seconds)

    return make


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="session")
def recordings() -> Path:
    default = Path(__file__).parents[2] / ".." / "shared" / "data"
    path = Path(os.environ.get("LLMGUARD_TEST_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no recorded data at {path}; set LLMGUARD_TEST_DATA")
    return path
