"""Every engine in a worker process of its own, by the pin's option `runtime`."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest

from llmguard.errors import (
    ContractError,
    TierFailedError,
    TierTimeoutError,
    TierUnavailableError,
)
from llmguard.outcome import Kind

pytestmark = pytest.mark.gguf

Make = Callable[..., Any]


@pytest.fixture
def provider(runtime: str, make_on: Make) -> Any:
    """Return a provider on this runtime; its worker lives as long as the runtime."""
    return make_on(runtime)


@pytest.fixture(scope="module")
def make_on(mini_gguf: pathlib.Path) -> Iterator[Make]:
    """Return a maker of providers; those with the same options share a worker."""
    from llmguard.pins import Pin
    from llmguard_fallbacks.local import provider

    made: list[Any] = []

    def make(runtime: str, **options: Any) -> Any:
        # A size of its own: no worker of another module is shared, or killed.
        given = {"n_ctx": 32_768, "n_threads": 1, "n_batch": 64, "grace": 30.0}
        given |= {"runtime": runtime, "queue": 8, **options}
        pin = Pin(route="r", provider="llama.cpp", model=str(mini_gguf), options=given)
        made.append(provider(pin))
        return made[-1]

    yield make
    for found in made:
        found.close()


def test_answers_sync_async_and_streamed(provider: Any, ask: Make, ticket: Any) -> None:
    """The four ways to ask give the same valid answer."""
    request = ask("a ticket", schema=ticket)
    whole = provider.complete(request)
    *_, last = provider.stream(request)

    async def both() -> list[str]:
        chunks = [chunk async for chunk in provider.astream(request)]
        return [(await provider.acomplete(request)).text, chunks[-1].reply.text]

    assert {whole.text} == {last.reply.text, *asyncio.run(both())}
    jsonschema.validate(json.loads(whole.text), ticket)


def test_a_killed_worker_is_an_outcome_and_returns(
    provider: Any, ask: Make, long_schema: Any
) -> None:
    """Kill -9 in mid-answer ends one call, and says so; the next one works."""
    stream = provider.stream(ask(schema=long_schema))
    next(stream)
    (pid,) = provider.pool().pids()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TierFailedError, match="SIGKILL") as caught:
        list(stream)
    assert Kind.TRANSPORT == caught.value.kind
    assert "true" == provider.complete(ask(schema={"const": True})).text
    assert [pid] != provider.pool().pids()


def test_a_deadline_stops_the_model_and_keeps_the_worker(
    provider: Any, ask: Make, long_schema: Any
) -> None:
    """The call ends as a time-out, and the worker that obeyed is used again."""
    provider.complete(ask(schema={"const": True}))
    before = provider.pool().pids()
    with pytest.raises(TierTimeoutError):
        provider.complete(ask(schema=long_schema, timeout=0.2))
    assert "true" == provider.complete(ask(schema={"const": True})).text
    assert before == provider.pool().pids()


def test_a_grounded_field_is_found_in_the_input_or_null(
    runtime: str, make_on: Make, ask: Make
) -> None:
    """Even random weights at a high temperature invent no order."""
    schema = {
        "type": "object",
        "properties": {"order_id": {"type": ["string", "null"]}},
        "required": ["order_id"],
    }
    grounded = make_on(runtime, ground={"order_id": r"\b[0-9]{5}\b"})
    found = {
        json.loads(grounded.complete(ask(text, schema=schema, params=params)).text)[
            "order_id"
        ]
        for text in ("orders 48213 and 48214", "no number 1234 here")
        for params in ({"temperature": 3.0, "seed": s} for s in range(8))
    }
    assert found == {"48213", "48214", None}


def test_what_no_grammar_holds_is_drawn_again_then_refused(
    provider: Any, ask: Make
) -> None:
    """A valid answer or the violations; never an answer that breaks the schema."""

    def different(pattern: str) -> Any:
        text = {"type": "string", "pattern": pattern}
        return {"type": "array", "items": text, "minItems": 2, "uniqueItems": True}

    for seed in range(6):
        params = {"temperature": 3.0, "seed": seed}
        request = ask(schema=different("^[a-z]$") | {"maxItems": 2}, params=params)
        assert 2 == len({*json.loads(provider.complete(request).text)})
    with pytest.raises(ContractError, match="3 draw") as caught:
        provider.complete(ask(schema=different("^a$")))
    assert ["uniqueItems"] == [v.check for v in caught.value.violations]


def test_a_prompt_that_is_too_long_moves_on(provider: Any, ask: Make) -> None:
    """The next tier gets the call, with the numbers and the option to raise."""
    with pytest.raises(TierUnavailableError, match="`n_ctx`") as caught:
        provider.complete(ask("word " * 9_000))
    assert Kind.SKIPPED == caught.value.kind


def test_a_pinned_runtime_has_workers_of_its_own(
    runtime: str, provider: Any, make_on: Make, ask: Make
) -> None:
    """Pins on the same runtime share a worker; the default is one of the two."""
    provider.complete(ask(schema={"const": True}))
    assert make_on(runtime).pool() is provider.pool()
    assert runtime == provider.pool()._settings.options["runtime"]
