"""Live calls exercise the tiers below, and never notice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard import (
    INJECTED,
    Model,
    call_context,
    capture,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.errors import ConfigError
from llmguard.guard import Exerciser, Runtime, TierContext, guard_of
from llmguard.guard._exercise import sampled
from llmguard.telemetry import add_hook, remove_hook
from llmguard.telemetry.activity import EXERCISE
from llmguard.testing import FakeModel, HttpError

Notes = list[tuple[str, str, str]]
Live = Callable[[], Runtime]


def _pair(lower: object = "low") -> tuple[FakeModel, FakeModel]:
    return FakeModel("top", name="top-1"), FakeModel(lower, name="low-1")


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_samples_no_fewer_calls(
    call_id: str, one: float, other: float
) -> None:
    """The decision is monotone in the share, and depends on nothing but the id."""
    low, high = sorted((one, other))
    assert sampled(call_id, low) <= sampled(call_id, high)
    assert not sampled(call_id, 0.0)
    assert sampled(call_id, 1.0)


def test_the_share_is_the_share() -> None:
    """One in a hundred ids, give or take."""
    hits = sum(sampled(f"{n:012x}{n * 7919:016x}", 0.01) for n in range(50_000))
    assert 400 < hits < 600


def test_lower_tiers_run_on_the_same_arguments(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Every model and function below the answer runs; constants do not."""
    top, low = _pair()
    seen: list[str] = []

    def by_hand(text: str) -> str:
        seen.append(text)
        return "hand"

    @fallback_chain(on_pin(low.pin("low")), by_hand, static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    assert live().exercise == exerciser.offer
    assert "top" == talk("hello")
    exerciser.join()
    assert [("low", "ok", EXERCISE), ("by_hand", "ok", EXERCISE)] == notes
    assert ["hello"] == seen
    assert ["hello"] == [str(c.messages[-1].content) for c in low.calls]
    assert {"done": 1, "dropped": 0, "failed": 0} == exerciser.counts()


def test_only_tiers_below_the_answer_run(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """A tier that answered a live call has proven itself already."""
    assert live()
    low = FakeModel("low")

    def upper(text: str) -> str:
        return text.upper()

    @fallback_chain(
        on_pin(low.pin("low")), upper, static("none"), exercise=1, attempts=1
    )
    @contract(str)
    @pinned(FakeModel(HttpError(500)).pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    assert "low" == talk("a")
    exerciser.join()
    assert [("upper", "ok", EXERCISE)] == notes


def test_a_failing_tier_is_told_to_its_breaker_and_nobody_else(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Exercises open the breaker of a dead fallback before it is needed."""
    top, low = _pair(HttpError(500))
    heard: list[str] = []
    hook = add_hook(lambda outcome: heard.append(outcome.tier))

    @fallback_chain(on_pin(low.pin("low"), attempts=3), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with capture() as outcomes:
        for number in range(7):
            assert "top" == talk(f"t{number}")
            exerciser.join()
    remove_hook(hook)
    # Tried once per call, until five in a row open the breaker; open is no try.
    assert [("low", "transport", EXERCISE)] * 5 == notes
    assert (5, 0) == (len(low.calls), exerciser.failed)
    assert ["top"] * 7 == heard == [outcome.tier for outcome in outcomes]
    states = {b.snapshot().key: b.snapshot().state for b in live().breakers.all()}
    assert ["closed", "open"] == sorted(str(state) for state in states.values())


@pytest.mark.parametrize(
    "options", [{"exercise": 0.0}, {"exercise": 1.0, "idempotent": False}, {}]
)
def test_what_is_switched_off_stays_off(
    options: dict[str, object],
    live: Live,
    exerciser: Exerciser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By share, by `idempotent=False`, or by the configured share."""
    from llmguard import config

    monkeypatch.setenv("LLMGUARD_EXERCISE", "0")
    config.reset()
    assert live()
    top, low = _pair()

    @fallback_chain(on_pin(low.pin("low")), static("none"), **options)  # type: ignore[arg-type] # the parameters of the test
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    assert 0.0 == guard_of(talk).exercised
    talk("a")
    exerciser.join()
    assert () == low.calls


def test_a_chain_of_constants_has_nothing_to_exercise(
    live: Live, exerciser: Exerciser
) -> None:
    """No thread is started for it."""
    assert live()

    @fallback_chain(static("none"), exercise=1)
    @contract(str)
    def talk(text: str) -> str:
        return text

    assert "a" == talk("a")
    assert {"done": 0, "dropped": 0, "failed": 0} == exerciser.counts()


def test_a_share_that_is_none_is_refused() -> None:
    """The message says what a share is."""
    with pytest.raises(ConfigError, match="a share from 0 to 1"):
        fallback_chain(static("x"), exercise=1.5)


def test_an_async_function_runs_in_the_thread_of_exercises(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """It gets an event loop of the exerciser's own, and the call's context."""
    assert live()
    top, low = _pair()
    mark: ContextVar[str] = ContextVar("mark")
    seen: list[tuple[str, str]] = []

    @fallback_chain(on_pin(low.pin("low")), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    async def talk(text: str, *, model: Model = INJECTED) -> str:
        seen.append((threading.current_thread().name, mark.get()))
        return await model.acomplete(text)

    async def calls() -> list[str]:
        mark.set("here")
        return [await talk("a"), await talk("b")]

    assert ["top", "top"] == asyncio.run(calls())
    exerciser.join()
    assert [("low", "ok", EXERCISE)] * 2 == notes
    assert ("llmguard-exercise", "here") == seen[-1]


def test_streams_are_exercised_to_their_end(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Generators and async generators, whose chunks go nowhere."""
    assert live()
    top, low = _pair("low words here")

    @fallback_chain(on_pin(low.pin("low")), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    def stream(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @fallback_chain(on_pin(low.pin("low")), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    async def astream(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    async def whole() -> str:
        return "".join([chunk async for chunk in astream("b")])

    assert ("top", "top") == ("".join(stream("a")), asyncio.run(whole()))
    exerciser.join()
    assert [("low", "ok", EXERCISE)] * 2 == notes


def test_conditions_see_the_labels_and_hold(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """A tier whose condition says no is not exercised for that call."""
    assert live()
    top, low = _pair()

    def refunds(call: TierContext) -> bool:
        return call.labels.get("request_type") == "refund"

    @fallback_chain(on_pin(low.pin("low"), when=refunds), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    talk("a")
    with call_context(request_type="refund", deadline=5.0):
        talk("b")
    exerciser.join()
    assert [("low", "ok", EXERCISE)] == notes
    assert {"done": 2, "dropped": 0, "failed": 0} == exerciser.counts()


def test_the_caller_may_change_its_arguments_after_the_call(
    live: Live, exerciser: Exerciser
) -> None:
    """Plain containers are copied when the call is taken."""
    assert live()
    hold, seen = threading.Event(), list[object]()

    def below(items: object, *more: object) -> str:
        hold.wait(10)
        seen.append((items, more))
        return "below"

    @fallback_chain(below, static("none"), exercise=1)
    @contract(str)
    def talk(items: object) -> str:
        return "top"

    items: dict[str, object] = {"a": [1, (2, {3})]}
    assert "top" == talk(items)
    items["a"] = "changed"
    hold.set()
    exerciser.join()
    assert [({"a": [1, (2, {3})]}, ())] == seen


def test_calls_are_dropped_and_counted_when_too_many_wait(
    live: Live, exerciser: Exerciser
) -> None:
    """The caller never waits for a place; nor for arguments that hold themselves."""
    assert live()
    hold, begun = threading.Event(), threading.Event()

    def below(item: object) -> str:
        begun.set()
        hold.wait(10)
        return "below"

    @fallback_chain(below, static("none"), exercise=1)
    @contract(str)
    def talk(item: object) -> str:
        return "top"

    loop: list[object] = []
    loop.append(loop)
    assert "top" == talk(loop)
    assert 1 == exerciser.dropped
    talk(0)
    assert begun.wait(10)
    for number in range(3):
        talk(number)
    hold.set()
    exerciser.join()
    assert {"done": 3, "dropped": 2, "failed": 0} == exerciser.counts()
