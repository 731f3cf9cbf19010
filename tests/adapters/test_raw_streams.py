"""The raw client's streams are heard, whoever reads them, and are not touched."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import INJECTED, Kind, Model, Pin, capture, fallback_chain, pinned, static
from llmguard.adapters._openai_stream import ChatStream
from llmguard.adapters._sse import Ear
from llmguard.reply import Reply
from llmguard.testing import FaultServer

ASK: list[Any] = [{"role": "user", "content": "hi"}]


def test_a_stream_is_seen_by_last(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """What the body joins from its own client's chunks has a served model, too."""
    model = model_for(server.url("wrong_model"))
    stream = model.client.chat.completions.create(
        model=model.id, messages=ASK, stream=True
    )
    text = "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
    assert model.last is not None
    assert (text, "stop") == (model.last.text, model.last.finish_reason)
    assert model.last.served_model not in {None, "m-1"}


def test_an_async_stream_is_seen_by_last(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """The same for the client of an event loop."""

    async def ask() -> Reply | None:
        model = model_for(server.base_url)
        stream = await model.async_client.chat.completions.create(
            model=model.id, messages=ASK, stream=True
        )
        async for _ in stream:
            pass
        return model.last

    last = asyncio.run(ask())
    assert last is not None
    assert "stop" == last.finish_reason


def test_responses_are_heard_too(
    server: FaultServer, model_for: Callable[..., Model]
) -> None:
    """The other API has events of its own."""
    model = model_for(server.base_url, options={"api": "responses"})
    for _ in model.client.responses.create(model=model.id, input="hi", stream=True):
        pass
    assert model.last is not None
    assert model.last.text


@pytest.mark.parametrize("fault", ["stream_cut", "stream_no_finish"])
def test_half_a_stream_is_no_reply(
    server: FaultServer, model_for: Callable[..., Model], fault: str
) -> None:
    """A stream that ended early says nothing of what was served."""
    model = model_for(server.url(fault))
    stream = model.client.chat.completions.create(
        model=model.id, messages=ASK, stream=True
    )
    with contextlib.suppress(Exception):  # whatever the SDK makes of it
        for _ in stream:
            pass
    assert model.last is None


def test_another_model_in_a_raw_stream_is_noticed(
    server: FaultServer, pin_for: Callable[..., Pin]
) -> None:
    """A guard compares the pin with what the stream said, without `complete`."""

    @fallback_chain(static("none"), stream="buffer")
    @pinned(pin_for(server.url("wrong_model")))
    def ask(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        messages: Any = [{"role": "user", "content": text}]
        stream = model.client.chat.completions.create(
            model=model.id, messages=messages, stream=True
        )
        for chunk in stream:
            yield chunk.choices[0].delta.content or ""

    with capture() as outcomes:
        assert ["none"] == list(ask("hi"))
    assert Kind.WRONG_MODEL is outcomes[0].attempts[0].kind


EVENTS = (
    b'data: {"model": "m-1", "choices": [{"delta": {"content": "\xc3\xa9t"}}]}\n\n'
    b": a comment\r\n"
    b'data:{"choices": [{"delta": {"content": "e"}, "finish_reason": "stop"}]}\r\n\r\n'
    b"data: [DONE]\n\n"
)


@given(cuts=st.lists(st.integers(0, len(EVENTS)), max_size=12))
def test_events_may_be_cut_anywhere(cuts: list[int]) -> None:
    """Chunks of bytes know nothing of lines or characters."""
    told: list[Reply] = []
    pin = Pin(route="r", provider="openai", model="m-1", version_class="immutable")
    ear = Ear(ChatStream(pin, "min"), told.append)
    edges = [0, *sorted(cuts), len(EVENTS)]
    for start, end in itertools.pairwise(edges):
        ear.hear(EVENTS[start:end])
    ear.end()
    ear.end()
    assert ["éte"] == [reply.text for reply in told]


@given(noise=st.binary(max_size=200))
def test_noise_never_fails_the_reader(noise: bytes) -> None:
    """Whatever comes, listening raises nothing."""
    pin = Pin(route="r", provider="openai", model="m-1", version_class="immutable")
    ear = Ear(ChatStream(pin, "min"), lambda _: None)
    ear.hear(b"data: " + noise + b"\n")
    ear.end()
