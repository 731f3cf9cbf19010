"""What a whole outage costs: time, requests to the dead provider, and probes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any

import pytest

from llmguard import BreakerPolicy, capture, on_pin
from llmguard.adapters import close_providers
from llmguard.testing import (
    FaultServer,
    ServedRequest,
    VirtualClock,
    assert_outcome,
    isolated,
    no_leaks,
)

HIGH = {"category": "billing", "priority": "high"}
LOW = {"category": "other", "priority": "low"}
LEASES = BreakerPolicy().probes
OPEN_SECONDS = 30.0
"""Longer than a breaker's first open period, jitter included."""


@pytest.mark.parametrize("shape", ["sync", "async"])
def test_three_hanging_tiers_leave_time_for_the_fourth(
    shapes: Callable[..., Any],
    shape: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Under `deadline=3` the answer comes by about 3.05 s, without a leak."""
    with FaultServer("hang") as server:
        pins = [server.pin(f"tier-{i}") for i in range(3)]
        made = shapes(pins[0], on_pin(pins[1]), on_pin(pins[2]), deadline=3.0)
        made.guard(shape)
        _warm_up(shapes, shape)
        with no_leaks(), isolated(), capture() as outcomes:
            began = time.monotonic()
            answer = made.call(shape)
            elapsed = time.monotonic() - began
        assert answer == LOW
        assert_outcome(
            outcomes[-1], kind="ok", tier="static", attempts=["timeout"] * 3 + ["ok"]
        )
        assert server.count() == 3
        record_property("elapsed", elapsed)
        # Generous: what is asserted is that no tier starved the next one.
        assert elapsed < 3.5
    close_providers()


def _warm_up(shapes: Callable[..., Any], shape: str) -> None:
    """Import the SDK: its first import alone takes a second."""
    with FaultServer(answer=HIGH) as server, isolated():
        assert shapes(server.pin("warm-up"), deadline=30.0).call(shape) in (HIGH, LOW)


@pytest.mark.parametrize("fault", ["500", "close", "html", "401"])
@pytest.mark.parametrize("shape", ["sync", "async"])
def test_a_dead_primary_is_left_alone(
    server: FaultServer, shapes: Callable[..., Any], fault: str, shape: str
) -> None:
    """Once the window is full, none of the next 40 calls reaches it."""
    server.fault = fault
    made = shapes(server.pin(f"dead-{fault}"))
    with isolated() as runtime:
        calls = _until_open(made, shape, runtime)
        server.forget()
        answers = [made.call(shape) for _ in range(40)]
    assert calls <= 20
    assert answers == [LOW] * 40
    assert (server.count(), server.connections) == (0, 0)


def _until_open(made: Any, shape: str, runtime: Any) -> int:
    """Call until the breaker opens; return how many calls that took."""
    for calls in range(1, 21):
        assert made.call(shape) == LOW
        (breaker,) = runtime.breakers.all()
        if breaker.snapshot().state == "open":
            return calls
    raise AssertionError("the breaker never opened")


@pytest.mark.parametrize("recovered", [False, True])
def test_thirty_callers_after_the_open_period_send_few_probes(
    shapes: Callable[..., Any], recovered: bool
) -> None:
    """While the probes are under way, everybody else is answered below."""
    go_on = threading.Event()

    def answer(_: ServedRequest) -> object:
        go_on.wait(30)
        return HIGH

    clock = VirtualClock(autojump=True)
    with FaultServer("500", answer=answer) as server:
        go_on.set()
        made = shapes(server.pin("probed"))
        with isolated(clock=clock) as runtime:
            _until_open(made, "sync", runtime)
            clock.advance(OPEN_SECONDS)
            go_on.clear()
            server.forget()
            server.fault = "ok" if recovered else "500"
            with ThreadPoolExecutor(30) as pool:
                calls = [
                    pool.submit(copy_context().run, made.call, "sync")
                    for _ in range(30)
                ]
                _wait_for(calls, 30 - LEASES)
                go_on.set()
            answers = [call.result() for call in calls]
    assert 1 <= server.count() <= LEASES == 3
    assert answers.count(HIGH) == (server.count() if recovered else 0)
    assert answers.count(HIGH) + answers.count(LOW) == 30


def _wait_for(calls: list[Any], count: int) -> None:
    """Wait until `count` of the calls have been answered."""
    pending = set(calls)
    while len(calls) - len(pending) < count:
        done, pending = wait(pending, timeout=30, return_when="FIRST_COMPLETED")
        assert done, "callers wait for the probes instead of going on"
