"""Every call ends in exactly one outcome and gives back all it took."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest

from llmguard import INJECTED, Kind, Model, capture, contract, fallback_chain, pinned
from llmguard.breaker import BreakerRegistry, Permit, VersionBreaker
from llmguard.errors import ConfigError, Deferred, TierFailedError
from llmguard.guard import RetryPolicy, Runtime, guard_of, static, use_runtime
from llmguard.testing import HttpError, fake_pin


class Counting(VersionBreaker):
    """A breaker that knows which permits nobody has handed back."""

    out = 0

    def acquire(self, *, lease: float | None = None) -> Permit:
        permit = super().acquire(lease=lease)
        self.out += 1
        return permit

    def report(self, permit: Permit, *args: Any, **kwargs: Any) -> None:
        self.out -= not permit.done
        super().report(permit, *args, **kwargs)


class CountingRegistry(BreakerRegistry):
    """Makes such breakers."""

    _breaker_type = Counting


@pytest.fixture
def breakers() -> Iterator[BreakerRegistry]:
    """Give a test breakers that count their permits."""
    made = CountingRegistry()
    with use_runtime(Runtime(breakers=made)):
        yield made


def _out(breakers: BreakerRegistry) -> list[int]:
    return [b.out for b in breakers.all() if isinstance(b, Counting)]


class Interrupt(BaseException):
    """What ends a call from outside, as `KeyboardInterrupt` would."""


@dataclass
class InterruptedClock:
    """A clock whose sleep a signal ends."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        raise Interrupt

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)


class Evil:
    """A value whose every word raises."""

    def __repr__(self) -> NoReturn:
        raise ZeroDivisionError

    __str__ = __repr__
    __bool__ = __repr__
    __hash__ = None  # type: ignore[assignment]  # it is evil


def test_an_interrupt_during_a_back_off_ends_in_one_outcome() -> None:
    """A call cancelled between two tries is told of like any other."""
    clock = InterruptedClock()
    retry = RetryPolicy(base=2.0)

    @fallback_chain(static("x"))
    @pinned(fake_pin([HttpError(503)] * 9))
    def ask(*, model: Model = INJECTED) -> Any:
        return model.complete("hi")

    runtime = Runtime(clock=clock, couriers=None, retry=retry)
    with use_runtime(runtime), capture() as outcomes, pytest.raises(Interrupt):
        ask()
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]
    assert 1 == len(clock.slept)
    assert [Kind.TRANSPORT] == [a.kind for a in outcomes[0].attempts]


def test_an_interrupt_in_a_condition_ends_in_one_outcome() -> None:
    """What no tier can answer for still gets its outcome."""

    def stop(call: object) -> bool:
        raise Interrupt

    @fallback_chain(static("x"), when=stop)
    def ask() -> str:
        return "never"

    with capture() as outcomes, pytest.raises(Interrupt):
        ask()
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]


def test_evil_inputs_do_not_reach_the_caller() -> None:
    """Inputs that cannot be printed are still judged and counted."""

    @fallback_chain(static("x"))
    @pinned(fake_pin(["fine"]))
    def ask(thing: object, *, model: Model = INJECTED) -> Any:
        return model.complete("hi").text

    with capture() as outcomes:
        assert "fine" == ask(Evil())
    assert [Kind.OK] == [o.kind for o in outcomes]


def test_long_inputs_are_not_printed_to_tell_them_apart() -> None:
    """A megabyte of text costs no `repr`."""

    class Text(str):
        __slots__ = ()

        def __repr__(self) -> NoReturn:
            raise AssertionError

    @pinned(fake_pin(["fine"]))
    def ask(text: str, *, model: Model = INJECTED) -> Any:
        return model.complete("hi").text

    assert "fine" == ask(Text("a" * 1_000_000))


def test_an_evil_answer_is_the_tiers_own_fault() -> None:
    """An object that raises when it is looked at ends in `error`, not in a crash."""

    class Trap:
        def __getattr__(self, name: str) -> NoReturn:
            raise ZeroDivisionError(name)

        __repr__ = Evil.__repr__

    @fallback_chain(static("x"))
    @contract(str)
    def ask() -> Any:
        return Trap()

    with capture() as outcomes:
        assert "x" == ask()
    kinds = [a.kind for a in outcomes[0].attempts]
    assert Kind.OK is kinds[-1]
    assert kinds[0] in {Kind.ERROR, Kind.SCHEMA}


def test_an_evil_exception_is_the_tiers_own_fault() -> None:
    """An exception that cannot be printed does not hide the next tier."""

    class Awful(Exception):  # noqa: N818 - the name is the point
        __str__ = Evil.__repr__
        __repr__ = Evil.__repr__

    @fallback_chain(static("x"))
    def ask() -> str:
        raise Awful

    with capture() as outcomes:
        assert "x" == ask()
    assert Kind.ERROR is outcomes[0].attempts[0].kind


def test_an_exception_that_claims_success_is_no_answer() -> None:
    """Only a value can be an answer."""

    @fallback_chain(static("x"))
    def ask() -> str:
        raise TierFailedError("odd", kind=Kind.OK)

    assert "x" == ask()


ENDS = {"deferred": Deferred, "bad": TierFailedError, "cancelled": Interrupt}


@pytest.mark.parametrize("how", ENDS)
def test_places_and_permits_come_back(how: str, breakers: BreakerRegistry) -> None:
    """However a call ends, nobody is left inside the tier."""

    @fallback_chain(static("x"), concurrency=1)
    @pinned(fake_pin([HttpError(400)] * 3))
    def ask(*, model: Model = INJECTED) -> Any:
        if how == "deferred":
            raise Deferred("t-1", queue="q")
        if how == "cancelled":
            raise Interrupt
        return model.complete("hi")

    for _ in range(3):
        with capture() as outcomes, pytest.raises(ENDS[how]):
            ask()
        assert 1 == len(outcomes)
    bulkhead = guard_of(ask).steps[0].bulkhead
    assert bulkhead is not None
    assert 0 == bulkhead.taken
    assert [0] == _out(breakers)


@pytest.mark.parametrize("end", ["close", "throw", "drop", "unpulled"])
def test_a_stream_that_ends_early_gives_all_back(
    end: str, breakers: BreakerRegistry
) -> None:
    """The consumer's end of a stream is no failure and leaves nobody inside."""

    @fallback_chain(static("x"), concurrency=1)
    @pinned(fake_pin(["one two three four five"]))
    def talk(*, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream("hi")

    with capture() as outcomes:
        stream: Any = talk()
        if end != "unpulled":
            next(stream)
        if end == "throw":
            with pytest.raises(KeyError):
                stream.throw(KeyError("x"))
        elif end in {"close", "unpulled"}:
            stream.close()
        del stream
        gc.collect()
    expected = [] if end == "unpulled" else [Kind.CANCELLED]
    assert expected == [o.kind for o in outcomes]
    bulkhead = guard_of(talk).steps[0].bulkhead
    assert bulkhead is not None
    assert 0 == bulkhead.taken
    assert [0] * len(expected) == _out(breakers)


@pytest.mark.parametrize("end", ["aclose", "athrow", "cancel"])
def test_an_async_stream_that_ends_early_gives_all_back(
    end: str, breakers: BreakerRegistry
) -> None:
    """As above, on an event loop."""
    ended: list[str] = []

    @fallback_chain(static("x"), concurrency=1)
    @pinned(fake_pin(["one two three"]))
    async def talk(*, model: Model = INJECTED) -> AsyncIterator[str]:
        try:
            async for chunk in model.astream("hi"):
                yield chunk
            await asyncio.Event().wait()
        finally:
            ended.append("body")

    async def main() -> None:
        stream: Any = talk()
        await anext(stream)
        if end == "aclose":
            await stream.aclose()
        elif end == "athrow":
            with pytest.raises(KeyError):
                await stream.athrow(KeyError("x"))
        else:

            async def rest() -> None:
                async for _ in stream:
                    pass

            task = asyncio.create_task(rest())
            for _ in range(50):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with capture() as outcomes:
        asyncio.run(main())
    assert ["body"] == ended
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]
    assert [0] == _out(breakers)


def test_a_closed_coroutine_gets_its_outcome(breakers: BreakerRegistry) -> None:
    """A coroutine that nobody awaits to its end counts as nothing."""

    @fallback_chain(static("x"))
    @pinned(fake_pin(["fine"]))
    async def ask(*, model: Model = INJECTED) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with capture() as outcomes:
        asyncio.run(main())
    assert [Kind.CANCELLED] == [o.kind for o in outcomes]
    assert [0] == _out(breakers)


def test_another_event_loop_is_refused() -> None:
    """On trio every call would quietly fall to the last tier; it says so instead."""

    @fallback_chain(static("x"))
    async def ask() -> str:
        return "y"

    with pytest.raises(ConfigError, match="asyncio"):
        ask().send(None)


def test_another_event_loop_is_refused_by_streams() -> None:
    """As above."""

    @fallback_chain(static("x"))
    async def talk() -> AsyncIterator[str]:
        yield "y"

    stream: Any = talk()
    with pytest.raises(ConfigError, match="asyncio"):
        anext(stream).send(None)
