"""Streams under hostile bodies and consumers."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest

from llmguard import (
    INJECTED,
    Kind,
    Model,
    call_context,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.guard import RetryPolicy, Runtime, use_runtime
from llmguard.guard._deadline import CALL_CONTEXT
from llmguard.testing import FakeModel, HttpError, VirtualClock, fake_pin

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="none")


def test_a_closed_body_cleans_up_in_its_own_context() -> None:
    """A body may reset in `finally` what it set: nothing after that is skipped."""
    done: list[str] = []

    @fallback_chain(static("x"))
    def talk() -> Iterator[str]:
        token = VAR.set("body")
        try:
            yield "a"
            yield "b"
        finally:
            VAR.reset(token)
            done.append("released")

    with closing(talk()) as stream:  # type: ignore[type-var]  # it is a generator
        assert "a" == next(stream)
    assert ["released"] == done


def test_an_error_in_a_closing_body_is_seen() -> None:
    """What a body raises while it is closed reaches who closes, as in any generator."""

    @fallback_chain(static("x"))
    def talk() -> Iterator[str]:
        try:
            yield "a"
        finally:
            raise ValueError("left open")

    stream: Any = talk()
    next(stream)
    with pytest.raises(ValueError, match="left open"):
        stream.close()


def test_a_stream_inside_itself_is_refused() -> None:
    """A stream that falls back on itself ends at the nesting limit."""
    depths: list[int] = []

    @fallback_chain(static("deep"))
    def talk(level: int) -> Iterator[str]:
        depths.append(level)
        yield from talk(level + 1)

    assert ["deep"] == list(talk(0))
    assert 8 == len(depths)


def test_an_async_stream_inside_itself_is_refused() -> None:
    """As above, on an event loop."""
    depths: list[int] = []

    @fallback_chain(static("deep"))
    async def talk(level: int) -> AsyncIterator[str]:
        depths.append(level)
        async for chunk in talk(level + 1):
            yield chunk

    async def main() -> list[str]:
        return [chunk async for chunk in talk(0)]

    assert ["deep"] == asyncio.run(main())
    assert 8 == len(depths)


def _inherited() -> tuple[bool, int, tuple[tuple[str, str], ...]]:
    context = CALL_CONTEXT.get()
    return context.deadline_at is not None, context.depth, context.labels


def test_a_body_passes_its_deadline_on() -> None:
    """Guarded calls inside a stream's body get what is left of it, and its labels."""
    seen: list[object] = []

    @fallback_chain(static("x"))
    def talk() -> Iterator[str]:
        seen.append(_inherited())
        with call_context(stakes="low"):
            yield "a"
            seen.append(_inherited())
        yield "b"
        seen.append(_inherited())

    with call_context(stakes="high"):
        for _ in talk():
            assert (False, 0, (("stakes", "high"),)) == _inherited()
    high, low = (("stakes", "high"),), (("stakes", "low"),)
    assert [(True, 1, high), (True, 1, low), (True, 1, high)] == seen


def test_an_async_body_passes_its_deadline_on() -> None:
    """As above; the consumer between two chunks sees nothing of it."""
    seen: list[object] = []

    @fallback_chain(static("x"))
    async def talk() -> AsyncIterator[str]:
        seen.append(_inherited())
        with call_context(stakes="low"):
            yield "a"
            seen.append(_inherited())
        yield "b"
        seen.append(_inherited())

    async def main() -> None:
        async for _ in talk():
            assert (False, 0, ()) == _inherited()

    asyncio.run(main())
    low = (("stakes", "low"),)
    assert [(True, 1, ()), (True, 1, low), (True, 1, ())] == seen


def test_a_slow_consumer_is_no_slow_model() -> None:
    """Time between chunks that the consumer took counts against nobody."""
    clock = VirtualClock()

    @fallback_chain(static("x"), deadline=10.0)
    @pinned(fake_pin(["one two three four"]))
    def talk(*, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream("hi")

    runtime = Runtime(clock=clock, couriers=None)
    with use_runtime(runtime), capture() as outcomes:
        for _ in talk():
            clock.advance(60.0)
    assert [Kind.OK] == [o.kind for o in outcomes]
    assert outcomes[0].attempts[0].elapsed < 10.0
    (breaker,) = runtime.breakers.all()
    assert (0, 0) == (breaker.snapshot().failures, breaker.snapshot().slow)


def test_streams_earn_the_right_to_retry() -> None:
    """Good streams deposit into the retry budget as good calls do."""
    model = FakeModel([HttpError(503), "fine"] * 12)

    @fallback_chain(static("x"))
    @pinned(model.pin("fake"))
    def talk(good: int, *, model: Model = INJECTED) -> Iterator[str]:
        if good:
            yield "ok"
        else:
            yield from model.stream("hi")

    with use_runtime(Runtime(retry=RetryPolicy(base=0.0), couriers=None)):
        for _ in range(60):
            assert ["ok"] == list(talk(1))
        answers = ["".join(talk(0)) for _ in range(8)]
    assert ["fine"] * 8 == answers


def test_a_stream_left_hanging_is_not_closed() -> None:
    """A body that hangs in its thread stays there; the call goes on without it."""
    release = threading.Event()
    ended = threading.Event()

    @fallback_chain(static("x"), deadline=0.2)
    def talk() -> Iterator[str]:
        try:
            release.wait(20)
            yield "late"
        finally:
            ended.set()

    with capture() as outcomes:
        assert ["x"] == list(talk())
    assert Kind.TIMEOUT is outcomes[0].attempts[0].kind
    assert not ended.is_set()
    release.set()
    assert ended.wait(20)


def test_two_threads_cannot_pull_one_stream() -> None:
    """As with any generator, the second one is refused and the first goes on."""
    inside, release = threading.Event(), threading.Event()

    @fallback_chain(static("x"))
    def talk() -> Iterator[str]:
        inside.set()
        release.wait(20)
        yield "a"

    stream = talk()
    got: list[str] = []
    thread = threading.Thread(target=lambda: got.extend(stream))
    thread.start()
    assert inside.wait(20)
    with pytest.raises(ValueError, match="already executing"):
        next(stream)
    release.set()
    thread.join(20)
    assert ["a"] == got


def test_a_buffered_stream_closed_early_was_good() -> None:
    """What was judged good before it was handed on stays good."""

    @fallback_chain(static("x"), stream="buffer")
    @contract(str)
    def talk() -> Iterator[str]:
        yield "a"
        yield "b"

    with capture() as outcomes, closing(talk()) as stream:  # type: ignore[type-var]  # it is a generator
        next(stream)
    assert [(Kind.OK, 0)] == [(o.kind, o.tier_index) for o in outcomes]


class Desk:
    """Methods that stream."""

    def __init__(self, name: str) -> None:
        self.name = name

    @fallback_chain(static("x"))
    @pinned(fake_pin(["one two"] * 9))
    async def talk(self, text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        """Say who speaks, then what the model says."""
        yield f"{self.name}: "
        async for chunk in model.astream(text):
            yield chunk


class Louder(Desk):
    """A method that calls the one it overrides."""

    async def talk(self, text: str, **options: Any) -> AsyncIterator[str]:
        """Say it louder."""
        async with aclosing(super().talk(text)) as stream:  # type: ignore[type-var]  # it is a generator
            async for chunk in stream:
                yield chunk.upper()


def test_async_generator_methods_are_inherited() -> None:
    """`self` and `super()` work as with any method."""

    async def main(desk: Desk) -> str:
        return "".join([chunk async for chunk in desk.talk("hi")])

    assert "Ann: one two" == asyncio.run(main(Desk("Ann")))
    assert "BOB: ONE TWO" == asyncio.run(main(Louder("Bob")))
