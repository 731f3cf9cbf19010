"""Streams: fall back before the first chunk, never after; judged at the end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Kind,
    Model,
    Outcome,
    capture,
    check,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.errors import ContractError, FallbackExhaustedError, TierFailedError
from llmguard.testing import Empty, HttpError, fake_pin


class Price(BaseModel):
    amount: int


def _sync(replies: Any, *tiers: Any, schema: Any = str, **options: Any) -> Any:
    @fallback_chain(*(tiers or (static("sorry"),)), **options)
    @contract(schema)
    @pinned(fake_pin(replies))
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    return talk


def _async(replies: Any, *tiers: Any, schema: Any = str, **options: Any) -> Any:
    @fallback_chain(*(tiers or (static("sorry"),)), **options)
    @contract(schema)
    @pinned(fake_pin(replies))
    async def talk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    return talk


def _collect(kind: str, *args: Any, **options: Any) -> tuple[list[str], Outcome]:
    """Run one stream to its end, sync or async."""
    with capture() as outcomes:
        if kind == "sync":
            chunks = list(_sync(*args, **options)("hi"))
        else:

            async def run() -> list[str]:
                return [chunk async for chunk in _async(*args, **options)("hi")]

            chunks = asyncio.run(run())
    assert 1 == len(outcomes)
    return chunks, outcomes[0]


BOTH = pytest.mark.parametrize("kind", ["sync", "async"])


@BOTH
def test_a_good_stream_passes_through(kind: str) -> None:
    """Chunks arrive as they come and the whole is judged once."""
    chunks, outcome = _collect(kind, ["Hello there, how are you?"])
    assert "Hello there, how are you?" == "".join(chunks)
    assert len(chunks) > 1
    assert (Kind.OK, 0) == (outcome.kind, outcome.tier_index)


@BOTH
@pytest.mark.parametrize("fault", [HttpError(401), Empty()])
def test_a_stream_that_never_starts_falls_back(kind: str, fault: object) -> None:
    """Before the first chunk nothing is lost, so the next tier answers."""
    chunks, outcome = _collect(kind, [fault])
    assert ["sorry"] == chunks
    assert "static" == outcome.tier


@BOTH
def test_another_pin_streams_too(kind: str) -> None:
    """The same body streams from the fallback model."""
    local = fake_pin(["local words here"], route="local")
    chunks, outcome = _collect(kind, [HttpError(401)], on_pin(local), static("sorry"))
    assert "local words here" == "".join(chunks)
    assert "local" == outcome.tier


@BOTH
def test_a_broken_contract_ends_the_stream_with_its_error(kind: str) -> None:
    """The consumer has seen chunks, so they cannot be taken back silently."""
    with pytest.raises(ContractError) as caught:
        _collect(kind, ['{"amount": "many"}'], static(Price(amount=1)), schema=Price)
    assert ["/amount"] == [v.path for v in caught.value.violations]


@BOTH
def test_buffered_streams_fall_back_whole(kind: str) -> None:
    """Held back until known to be good, a bad stream never shows."""
    chunks, outcome = _collect(
        kind,
        ['{"amount": "many"}'],
        static(Price(amount=1)),
        schema=Price,
        stream="buffer",
    )
    assert ['{"amount": 1}'] == chunks
    assert (Kind.SCHEMA, "static") == (outcome.attempts[0].kind, outcome.tier)


@BOTH
def test_a_good_buffered_stream_keeps_its_chunks(kind: str) -> None:
    """Buffering changes when chunks arrive, not what they are."""
    chunks, outcome = _collect(kind, ["one two three"], stream="buffer")
    assert "one two three" == "".join(chunks)
    assert outcome.tier_index == 0


def test_closing_early_counts_as_nothing() -> None:
    """A consumer that has heard enough is no failure of the model."""
    talk = _sync(["many words in this answer"] * 20)
    with capture() as outcomes:
        for number in range(8):
            stream = talk(f"hi {number}")
            assert next(stream)
            stream.close()
        assert "many" in next(talk("again"))
    kinds = [o.kind for o in outcomes]
    assert [Kind.CANCELLED] * 8 == kinds[:8]
    assert "closed the stream early" in outcomes[0].attempts[0].detail


def test_closing_an_async_stream_early_counts_as_nothing() -> None:
    """The same for `aclose`."""

    async def run() -> None:
        stream = _async(["many words in this answer"])("hi")
        assert await anext(stream)
        await stream.aclose()

    with capture() as outcomes:
        asyncio.run(run())
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]


def test_a_cancelled_task_counts_as_nothing() -> None:
    """Cancellation goes through, and is recorded as such."""
    started = asyncio.Event()

    @fallback_chain(static("sorry"))
    @contract(str)
    async def talk(text: str) -> AsyncIterator[str]:
        yield text
        started.set()
        await asyncio.Event().wait()

    async def run() -> None:
        async def consume() -> None:
            async for _ in talk("hi"):
                pass

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture() as outcomes:
        asyncio.run(run())
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]


def test_an_error_after_the_first_chunk_is_raised_and_not_retried() -> None:
    """Nothing is retried once the consumer has seen something."""
    opened = []

    @fallback_chain(static("sorry"))
    @contract(str)
    def talk(text: str) -> Iterator[str]:
        opened.append(text)
        yield text
        raise ConnectionError(text)

    stream = talk("hi")
    assert "hi" == next(stream)
    with pytest.raises(TierFailedError) as caught:
        next(stream)
    assert Kind.TRANSPORT is caught.value.kind
    assert ["hi"] == opened


def test_a_stalled_stream_ends_at_its_deadline() -> None:
    """The deadline covers the whole stream, not each chunk."""

    async def run() -> list[str]:
        @fallback_chain(static("sorry"), deadline=0.05)
        @contract(str)
        async def talk(text: str) -> AsyncIterator[str]:
            yield text
            await asyncio.Event().wait()

        seen: list[str] = []
        stream = talk("hi")
        seen.append(await anext(stream))
        with pytest.raises(TimeoutError):
            await anext(stream)
        return seen

    assert ["hi"] == asyncio.run(run())


def test_one_context_for_all_chunks() -> None:
    """A context variable set between chunks can be reset after the last."""
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("v", default=0)

    @contract(str)
    def talk(text: str) -> Iterator[str]:
        token = variable.set(1)
        yield text
        yield str(variable.get())
        variable.reset(token)

    assert ["a", "1"] == list(talk("a"))
    assert 0 == variable.get()


def test_chunks_that_are_no_text_are_one_list() -> None:
    """Events are judged together, as the list they are."""

    @contract(list[int], checks=[check.length(minimum=2)])
    def numbers(text: str) -> Iterator[int]:
        yield 1
        yield 2

    assert [1, 2] == list(numbers("x"))


def test_exhausted_streams_raise() -> None:
    """A stream without a fallback raises what went wrong."""

    @contract(str)
    @pinned(fake_pin([HttpError(401)]))
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    with pytest.raises(TierFailedError):
        list(talk("hi"))

    @fallback_chain(static(Price(amount=1)))
    @contract(Price, checks=[lambda value, inputs: False])
    def never(text: str) -> Iterator[str]:
        raise ConnectionError
        yield

    with pytest.raises(FallbackExhaustedError):
        list(never("hi"))
