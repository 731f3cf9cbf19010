"""One deadline over all tiers: hanging ones are left, the next one still has time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from llmguard import (
    INJECTED,
    Kind,
    Model,
    Reply,
    call_context,
    capture,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.errors import TierTimeoutError
from llmguard.guard import Runtime, use_runtime
from llmguard.testing import HttpError, VirtualClock, fake_pin, run_virtual


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set only when the test is over, to free its threads."""
    event = threading.Event()
    yield event
    event.set()


def test_three_hanging_async_tiers_answer_by_the_deadline() -> None:
    """In virtual time: the fourth tier answers exactly when the third slice ends."""
    clock = VirtualClock(autojump=True)

    async def hang(text: str) -> str:
        await asyncio.Event().wait()
        return text

    async def hang_too(text: str) -> str:
        return await hang(text)

    @fallback_chain(hang, hang_too, static("rules"), deadline=3)
    @contract(str)
    async def first(text: str) -> str:
        return await hang(text)

    async def main() -> str:
        return await first("x")

    with capture() as outcomes, use_runtime(Runtime(clock=clock)):
        assert "rules" == run_virtual(main(), clock=clock)
    outcome = outcomes[0]
    assert [Kind.TIMEOUT] * 3 == [a.kind for a in outcome.attempts[:-1]]
    assert 3.0 == pytest.approx(outcome.elapsed, abs=1e-6)


def test_three_hanging_sync_tiers_are_left(never: threading.Event) -> None:
    """Sync tiers that ignore every timeout are abandoned, and the last one answers."""

    def hang(text: str) -> str:
        never.wait()
        return text

    def hang_too(text: str) -> str:
        return hang(text)

    @fallback_chain(hang, hang_too, static("rules"), deadline=1.5)
    @contract(str)
    def first(text: str) -> str:
        return hang(text)

    with capture() as outcomes:
        assert "rules" == first("x")
    assert [Kind.TIMEOUT] * 3 == [a.kind for a in outcomes[0].attempts[:-1]]
    assert outcomes[0].attempts[-1].started >= 1.49


def test_a_check_that_hangs_is_left_too(never: threading.Event) -> None:
    """Checks run within the attempt's time, and hanging says nothing of a model."""

    def asks_a_dead_service(value: str) -> bool:
        return value == "known" or never.wait()

    @fallback_chain(static("known"), deadline=0.3)
    @contract(str, checks=[asks_a_dead_service])
    @pinned(fake_pin(["anything"]))
    def first(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with capture() as outcomes:
        assert "known" == first("x")
    left = outcomes[0].attempts[0]
    assert Kind.ERROR is left.kind
    assert "it answered, but was not checked within" in left.detail


def test_sync_tiers_of_async_functions_are_left_too(never: threading.Event) -> None:
    """A blocking rules function cannot hold the event loop past its slice."""

    def hang(text: str) -> str:
        never.wait()
        return text

    @fallback_chain(hang, static("last"), deadline=0.2, attempts=1)
    @contract(str)
    async def first(text: str) -> str:
        raise ConnectionError(text)

    with capture() as outcomes:
        assert "last" == asyncio.run(first("x"))
    assert Kind.TIMEOUT is outcomes[0].attempts[1].kind


def test_lower_tiers_keep_their_reserve(never: threading.Event) -> None:
    """What the local model asks for is not spent above it."""
    seen: list[float] = []

    def local(request: Any) -> str:
        seen.append(request.timeout)
        return "local"

    @fallback_chain(
        on_pin(fake_pin(local, route="l"), reserve=0.6), static("x"), deadline=1
    )
    @contract(str)
    @pinned(fake_pin([HttpError(401)]))
    def first(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    assert "local" == first("x")
    assert 0.9 < seen[0] <= 1.0


def test_the_callers_deadline_wins_when_shorter() -> None:
    """A request with two seconds left gives its calls two seconds."""
    clock = VirtualClock()

    @fallback_chain(static("x"), deadline=30)
    def first(text: str) -> str:
        return text

    with use_runtime(Runtime(clock=clock)), capture() as outcomes:
        with call_context(deadline=2):
            first("a")
            clock.advance(1.5)
            first("b")
            with call_context(deadline=60):
                first("c")
        first("d")
    assert [2.0, 0.5, 0.5, 30.0] == [o.deadline for o in outcomes]


def test_nested_calls_inherit_what_is_left(never: threading.Event) -> None:
    """The inner call cannot outlive the outer attempt."""

    @fallback_chain(static("inner"), deadline=60)
    def inner(text: str) -> str:
        return text

    @fallback_chain(static("outer"), deadline=5)
    def outer(text: str) -> str:
        return inner(text)

    with capture() as outcomes:
        outer("x")
    assert outcomes[0].deadline is not None
    assert outcomes[0].deadline <= 5


def test_a_timeout_limits_one_try(never: threading.Event) -> None:
    """`timeout=` cuts the first tier short, whatever the deadline allows."""

    @fallback_chain(static("x"), timeout=0.05, attempts=1)
    @contract(str)
    def slow(text: str) -> str:
        never.wait()
        return text

    with capture() as outcomes:
        assert "x" == slow("t")
    assert Kind.TIMEOUT is outcomes[0].attempts[0].kind
    assert "0.05" in outcomes[0].attempts[0].detail


def test_without_a_chain_a_timeout_is_a_timeout_error(never: threading.Event) -> None:
    """Callers that catch `TimeoutError` catch ours."""

    @contract(str)
    def slow(text: str) -> str:
        never.wait()
        return text

    with call_context(deadline=0.05), pytest.raises(TimeoutError) as caught:
        slow("t")
    assert isinstance(caught.value, TierTimeoutError)


def test_retry_after_beyond_the_slice_moves_on_now() -> None:
    """A provider that wants five minutes gets another caller."""

    @fallback_chain(static("x"), deadline=5)
    @contract(str)
    @pinned(fake_pin([HttpError(429, retry_after=300), Reply(text="late")]))
    def first(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with capture() as outcomes:
        assert "x" == first("t")
    assert ["throttled", "ok"] == [a.kind for a in outcomes[0].attempts]


def test_a_short_retry_after_is_honoured() -> None:
    """The second try comes no sooner than the provider asked."""
    clock = VirtualClock(autojump=True)

    @fallback_chain(static("x"), deadline=30)
    @contract(str)
    @pinned(fake_pin([HttpError(429, retry_after=7), "good"], clock=clock))
    async def first(text: str, *, model: Model = INJECTED) -> str:
        return await model.acomplete(text)

    async def main() -> str:
        return await first("t")

    with use_runtime(Runtime(clock=clock)), capture() as outcomes:
        assert "good" == run_virtual(main(), clock=clock)
    assert outcomes[0].attempts[1].started >= 7


def test_cancelling_an_async_call_counts_as_nothing() -> None:
    """The task is cancelled, the outcome says so, the breaker does not move."""
    entered = asyncio.Event()

    @fallback_chain(static("x"))
    @contract(str)
    async def first(text: str) -> str:
        entered.set()
        await asyncio.Event().wait()
        return text

    async def main() -> None:
        for _ in range(8):
            entered.clear()
            task = asyncio.create_task(first("t"))
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with capture() as outcomes:
        asyncio.run(main())
    assert [Kind.CANCELLED] * 8 == [o.kind for o in outcomes]


def test_ctrl_c_in_a_sync_call_is_a_cancellation(runtime: Runtime) -> None:
    """KeyboardInterrupt goes through untouched and counts as nothing."""

    @fallback_chain(static("x"))
    @contract(str)
    def first(text: str) -> str:
        raise KeyboardInterrupt

    with capture() as outcomes:
        for _ in range(8):
            with pytest.raises(KeyboardInterrupt):
                first("t")
    assert [Kind.CANCELLED] * 8 == [o.kind for o in outcomes]
    assert {"closed"} == {str(b.status) for b in runtime.breakers.all()}


def test_a_body_may_keep_the_callers_thread() -> None:
    """`isolate=False`: thread-locals are visible; other tiers still have their own."""
    here = threading.local()
    here.name = "caller"
    where: list[threading.Thread] = []

    def lower(text: str) -> str:
        where.append(threading.current_thread())
        return "lower"

    @fallback_chain(lower, static("x"), isolate=False)
    @contract(str)
    def first(text: str) -> str:
        if text == "down":
            raise ConnectionError
        return str(here.name)

    assert "caller" == first("up")
    assert "lower" == first("down")
    assert where[0] is not threading.current_thread()


def test_a_stream_may_keep_the_callers_thread() -> None:
    """The same for generators, chunk by chunk."""

    @fallback_chain(static("x"), isolate=False)
    @contract(str)
    def first(text: str) -> Iterator[str]:
        yield threading.current_thread().name
        yield threading.current_thread().name

    name = threading.current_thread().name
    assert [name, name] == list(first("up"))
