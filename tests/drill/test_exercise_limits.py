"""Exercises stay out of the way of live calls, whatever the tiers do."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from llmguard import (
    INJECTED,
    Model,
    contract,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.guard import Exerciser, Runtime, TierContext, current_runtime, guard_of
from llmguard.guard.tiers import TierOptions
from llmguard.telemetry.activity import EXERCISE
from llmguard.testing import FakeModel

Notes = list[tuple[str, str, str]]
Live = Callable[[], Runtime]


def test_a_tier_in_use_is_left_alone(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """An exercise never takes a place that a live call might need."""
    assert live()
    top, low = FakeModel("top"), FakeModel("low")

    @fallback_chain(on_pin(low.pin("low"), concurrency=1), static("none"), exercise=1)
    @contract(str)
    @pinned(top.pin("top"))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    bulkhead = guard_of(talk).steps[1].bulkhead
    assert bulkhead is not None
    assert bulkhead.enter()
    talk("a")
    exerciser.join()
    assert [] == notes
    bulkhead.leave()
    talk("b")
    exerciser.join()
    assert [("low", "ok", EXERCISE)] == notes


def test_a_tier_that_hangs_is_not_asked_again(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Its thread cannot be stopped; another one would hang beside it."""
    assert live()
    hold = threading.Event()

    class Below:
        name = "below"
        terminal = False
        inline = False
        options = TierOptions(timeout=0.01)

        def run(self, call: TierContext) -> object:
            hold.wait(10)
            return call.call_id

        def check(self, contract: object) -> None:
            """Accept any."""

    @fallback_chain(Below(), static("none"), exercise=1)
    @contract(str)
    def talk(text: str) -> str:
        return text

    for text in "abc":
        assert text == talk(text)
        exerciser.join()
    hold.set()
    assert [("below", "timeout", EXERCISE)] == notes


def test_an_answer_is_not_lost_where_no_thread_can_start(
    live: Live, exerciser: Exerciser, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call has its answer; what was sampled runs once a thread can be had."""
    assert live()

    @fallback_chain(lambda text: text, static("none"), exercise=1)
    @contract(str)
    def talk(text: str) -> str:
        return text

    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "llmguard-exercise":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refused)
        assert "a" == talk("a")
    assert [] == notes
    assert "b" == talk("b")
    exerciser.join()
    assert 2 == len(notes)


def test_a_tier_that_exits_ends_no_thread(
    live: Live, exerciser: Exerciser, caplog: pytest.LogCaptureFixture
) -> None:
    """What no `Exception` catches is a warning, and the next call is exercised."""
    assert live()

    def below(text: str) -> str:
        if text == "exit":
            raise SystemExit(3)
        return text

    @fallback_chain(below, static("none"), exercise=1)
    @contract(str)
    def talk(text: str) -> str:
        return text

    talk("exit")
    talk("stay")
    exerciser.join()
    assert {"done": 1, "dropped": 0, "failed": 1} == exerciser.counts()
    assert "SystemExit(3)" in caplog.text


def test_guarded_calls_inside_an_exercise_are_not_exercised(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Neither are those inside a guarded call: the outer one stands for them."""
    assert live()
    runtimes: list[bool] = []

    def inner_low(text: str) -> str:
        return text

    @fallback_chain(inner_low, static("none"), exercise=1)
    @contract(str)
    def inner(text: str) -> str:
        runtimes.append(current_runtime().exercise is None)
        return text

    def below(text: str) -> str:
        return inner(text)

    @fallback_chain(below, static("none"), exercise=1)
    @contract(str)
    def outer(text: str) -> str:
        return inner(text)

    outer("a")
    exerciser.join()
    assert [("below", "ok", EXERCISE)] == notes
    assert [False, True] == runtimes


def test_a_stopped_exerciser_starts_again(
    live: Live, exerciser: Exerciser, notes: Notes
) -> None:
    """Stopping runs what waits; a forked child begins with nothing."""
    assert live()

    def below(text: str) -> str:
        return text

    @fallback_chain(below, static("none"), exercise=1)
    @contract(str)
    def talk(text: str) -> str:
        return text

    exerciser.stop()
    talk("a")
    exerciser.stop()
    assert 1 == len(notes)
    talk("b")
    exerciser.stop()
    assert 2 == len(notes)
    exerciser.renew()
    assert {"done": 0, "dropped": 0, "failed": 0} == exerciser.counts()
