"""Every fault, through both APIs, plain and streamed, our calls and the raw client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from llmguard.adapters import (
    Model,
    classify,
    read_reply,
    reply_failure,
    verify_served,
)
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard.testing import FAULTS, FaultServer

SLOW = {"slow_first_byte", "slow_drip", "hang", "tls_mute", "stream_stall"}
JUDGED_BY_CONTRACT = {Kind.BAD_JSON, Kind.SCHEMA, Kind.SEMANTIC}
MODES = ["plain", "stream", "raw", "async", "async stream", "async raw"]


def raw_call(client: Any, model: Model) -> Any:
    """Call either API with the raw client, as a body would."""
    if model.pin.options["api"] == "responses":
        return client.responses.create(model=model.id, input="hello")
    messages = [{"role": "user", "content": "hello"}]
    return client.chat.completions.create(model=model.id, messages=messages)


def ask(model: Model, mode: str) -> Reply:
    """Ask synchronously."""
    if mode == "plain":
        return model.complete("hello")
    if mode == "raw":
        return read_reply(raw_call(model.client, model))
    stream = model.stream("hello")
    "".join(stream)
    assert stream.reply is not None
    return stream.reply


async def ask_async(model: Model, mode: str) -> Reply:
    """Ask on an event loop."""
    if mode == "async":
        return await model.acomplete("hello")
    if mode == "async raw":
        return read_reply(await raw_call(model.async_client, model))
    stream = model.astream("hello")
    _ = [text async for text in stream]
    assert stream.reply is not None
    return stream.reply


def kind_of(model: Model, reply: Reply) -> Kind:
    """Judge a reply by what this layer knows, as the guard does before the contract."""
    failure = reply_failure(reply)
    if failure is not None:
        return failure.kind
    if verify_served(model.pin, reply) == "mismatch":
        return Kind.WRONG_MODEL
    if reply.refusal is not None:
        return Kind.REFUSAL
    by_finish = {"length": Kind.TRUNCATED, "content_filter": Kind.FILTERED}
    kind = by_finish.get(reply.finish_reason or "", Kind.OK)
    return Kind.EMPTY if kind is Kind.OK and not reply.text else kind


def outcome(runner: asyncio.Runner, model: Model, mode: str) -> Kind:
    try:
        if mode.startswith("async"):
            call: Coroutine[Any, Any, Reply] = ask_async(model, mode)
            return kind_of(model, runner.run(call))
        return kind_of(model, ask(model, mode))
    except Exception as exc:  # noqa: BLE001 - what it is, is the question
        return classify(exc).kind


def expected(name: str, mode: str) -> Kind:
    """Return the declared outcome, less what only a contract can find."""
    kind = FAULTS[name].expected(stream=mode.endswith("stream"))
    only_contract = kind in JUDGED_BY_CONTRACT or name == "refusal_text"
    return Kind.OK if only_contract else kind


def cases() -> list[tuple[str, str, str]]:
    """Pair faults with APIs and modes: below the body, all are the same exchange."""
    found: list[tuple[str, str, str]] = []
    for name, fault in FAULTS.items():
        below = fault.group in {"connection", "status"}
        apis = ["chat"] if below else ["chat", "responses"]
        modes = ["plain", "async stream"] if below else MODES
        if fault.stream_only:
            modes = ["stream", "async stream"]
        if name not in SLOW:
            found += [(name, api, mode) for api in apis for mode in modes]
    return found


@pytest.mark.parametrize(("name", "api", "mode"), cases())
def test_fault_ends_in_its_kind(  # noqa: PLR0917 - three of them are parameters
    name: str,
    api: str,
    mode: str,
    server: FaultServer,
    model_for: Callable[..., Model],
    runner: asyncio.Runner,
) -> None:
    """A fault is the declared outcome kind, whichever way it was met."""
    model = model_for(server.url(name), options={"api": api})
    assert expected(name, mode) == outcome(runner, model, mode)
    assert server.count() <= 1


@pytest.mark.parametrize("mode", ["stream", "raw", "async", "async stream"])
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slow_fault_ends_by_the_deadline(
    name: str,
    mode: str,
    server: FaultServer,
    model_for: Callable[..., Model],
    runner: asyncio.Runner,
) -> None:
    """A server that is slow in any way is a timeout, not a success of seconds later."""
    model = model_for(server.url(name), seconds=0.25, options={"api": "chat"})
    assert expected(name, mode) == outcome(runner, model, mode)
    assert server.count() <= 1
