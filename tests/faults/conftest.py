"""One guarded function in every shape, pinned to a provider that fails on command."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import INJECTED, Model, Pin, contract, fallback_chain, pinned, static
from llmguard.testing import FaultServer


class Triage(BaseModel):
    category: Literal["billing", "other"]
    priority: Literal["low", "high"]


HIGH = {"category": "billing", "priority": "high"}
LOW = {"category": "other", "priority": "low"}
SHAPES = ("sync", "async", "gen", "agen")


class Shapes:
    """The same guarded call as a function, coroutine, generator, async generator.

    Calls return the answer as data; those of streams are joined and parsed.
    """

    low = LOW

    def __init__(
        self, pin: Pin, *tiers: Any, runner: asyncio.Runner, **chain: Any
    ) -> None:
        self._pin = pin
        self._tiers = tiers
        self._chain = chain
        self._runner = runner
        self.made: dict[str, Callable[..., Any]] = {}

    def guard(self, shape: str) -> Callable[..., Any]:
        """Return the guarded function in one shape; the same one every time."""
        if shape not in self.made:
            chain = fallback_chain(*self._tiers, static(LOW), **self._chain)
            body = _BODIES[shape]
            self.made[shape] = chain(contract(Triage)(pinned(self._pin)(body)))
        return self.made[shape]

    def call(self, shape: str) -> object:
        """Make one call and return its answer as data."""
        func = self.guard(shape)
        if shape == "sync":
            return func("hi").model_dump()
        if shape == "gen":
            return json.loads("".join(func("hi")))
        # A runner keeps the context it was made in; the test has one of its own.
        return self._runner.run(self.acall(shape), context=copy_context())

    async def acall(self, shape: str) -> object:
        """Make one asynchronous call."""
        func = self.guard(shape)
        if shape == "async":
            return (await func("hi")).model_dump()
        return json.loads("".join([chunk async for chunk in func("hi")]))


def _sync(ticket: str, *, model: Model = INJECTED) -> Triage:
    return model.complete(ticket)


async def _async(ticket: str, *, model: Model = INJECTED) -> Triage:
    return await model.acomplete(ticket)


def _gen(ticket: str, *, model: Model = INJECTED) -> Iterator[str]:
    yield from model.stream(ticket)


async def _agen(ticket: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    async for chunk in model.astream(ticket):
        yield chunk


_BODIES: dict[str, Any] = {
    "sync": _sync,
    "async": _async,
    "gen": _gen,
    "agen": _agen,
}


@pytest.fixture(name="server", scope="package")
def _server() -> Iterator[FaultServer]:
    with FaultServer(answer=HIGH, delay=5.0, retry_after=0.01) as server:
        yield server


@pytest.fixture(name="runner", scope="package")
def _runner() -> Iterator[asyncio.Runner]:
    """Give all asynchronous calls one event loop, and so one client."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="shapes", scope="package")
def _shapes(runner: asyncio.Runner) -> Callable[..., Shapes]:
    """Return how to make the four shapes for a pin."""

    def make(pin: Pin, *tiers: Any, **chain: Any) -> Shapes:
        return Shapes(pin, *tiers, runner=runner, **chain)

    return make


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give pins of hosts that are not this machine a key; `.invalid` is one."""
    monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
