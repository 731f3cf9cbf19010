"""Timeouts of attempts that had too little time say nothing about the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from llmguard import capture, fallback_chain, static
from llmguard.guard import Runtime, guard_of
from llmguard.outcome import Kind

USUAL = 5.0
"""Seconds that a good answer takes, as far as the guard has seen."""


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Let hanging bodies end with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(("usual", "failures"), [(USUAL, 0), (0.0, 1), (0.001, 1)])
def test_only_a_timeout_after_the_usual_time_counts(
    runtime: Runtime, released: threading.Event, usual: float, failures: int
) -> None:
    """The outcome says `timeout` each time; the breaker hears only of slow models."""

    @fallback_chain(static("late"), deadline=0.02)
    def guarded(text: str) -> str:
        released.wait()
        return text

    guard = guard_of(guarded)
    guard.steps[0].latency = usual
    with capture() as outcomes:
        assert "late" == guarded("hello")
    assert Kind.TIMEOUT is outcomes[0].attempts[0].kind
    breaker = runtime.breakers.get(guard.name, "unpinned", policy=None)
    assert failures == breaker.snapshot().failures
