"""The fault table: every fault, in every shape of call, ends as declared.

Each test makes one call of a guarded function whose provider has one fault, and looks
at four things: the outcome, the answer, the requests sent, and what is left behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmguard import capture
from llmguard.adapters import close_providers
from llmguard.errors import CallError
from llmguard.guard import RetryPolicy
from llmguard.outcome import POLICY, Kind, Outcome
from llmguard.testing import FAULTS, Fault, FaultServer, isolated, no_leaks

DEADLINE = 10.0
SHORT = 0.6
"""Deadline where the fault is that nothing comes."""

PLAIN = ("sync", "async")
STREAMS = ("gen", "agen")
TEXTLESS = {"refusal", "content_filter", "empty_content", "null_content", "tool_call"}
SPOKEN = {
    *(n for n, f in FAULTS.items() if f.group in {"answer", "stream"}),
    "truncated_body",
} - {*TEXTLESS, "stream_html"}
"""Faults whose streams deliver text before they show."""


def cases(shapes: tuple[str, ...]) -> list[Any]:
    """Return every fault that applies, for each shape."""
    stream = shapes == STREAMS
    return [
        pytest.param(fault, shape, id=f"{fault.name}-{shape}")
        for fault in FAULTS.values()
        for shape in shapes
        if stream or not fault.stream_only
    ]


def timeless(fault: Fault) -> bool:
    """Tell whether only the deadline ends this fault."""
    return fault.kind is Kind.TIMEOUT


@pytest.fixture(
    name="ask",
    scope="module",
    params=["chat", pytest.param("responses", marks=pytest.mark.slow)],
)
def _ask(
    request: pytest.FixtureRequest, server: FaultServer, shapes: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Return how to make one call under a fault: its outcome and its answer."""
    made: dict[tuple[object, ...], Any] = {}
    options = {"api": request.param}

    def ask(fault: Fault, shape: str, stream: str) -> tuple[Outcome, object]:
        if fault.own_url:
            pin = server.pin(fault=fault.name, options=options)
        else:
            server.fault = fault.name
            pin = server.pin(options=options)
        deadline = SHORT if timeless(fault) else DEADLINE
        key = (pin.id, deadline, stream)
        if key not in made:
            made[key] = shapes(pin, deadline=deadline, stream=stream)
        made[key].guard(shape)
        server.forget()
        return _call(made[key], shape)

    # The first call imports the SDK and makes its clients, which stay.
    for shape in (*PLAIN, *STREAMS):
        with contextlib.suppress(AssertionError):
            ask(FAULTS["ok"], shape, "buffer")
    yield ask
    close_providers()


def _call(shapes: Any, shape: str) -> tuple[Outcome, object]:
    answer: object
    with no_leaks(), isolated() as runtime, capture() as outcomes:
        runtime.retry = RetryPolicy(base=0.01, cap=0.01)
        try:
            answer = shapes.call(shape)
        except CallError as error:
            answer = error
    return outcomes[-1], answer


def tries(fault: Fault, *, stream: bool) -> int:
    """Return how many attempts the first tier may make."""
    policy = POLICY[fault.kind]
    if timeless(fault) or fault.name == "429_long":
        return 1  # no time is left for another
    again = policy.retry or (policy.reask and not stream)
    return 2 if again else 1


def check(fault: Fault, outcome: Outcome, answer: object, *, stream: bool) -> None:
    """Hold one call against the table."""
    expected = fault.expected(stream=stream)
    first = [a for a in outcome.attempts if a.tier_index == 0]
    if expected is Kind.OK:
        assert (outcome.kind, outcome.tier_index) == (Kind.OK, 0)
        assert answer == {"category": "billing", "priority": "high"}
        return
    assert [a.kind for a in first] == [expected] * tries(fault, stream=stream)
    if POLICY[expected].fall_back:
        assert (outcome.kind, outcome.tier) == (Kind.OK, "static")
        assert answer == {"category": "other", "priority": "low"}
    else:
        assert outcome.kind == expected
        assert isinstance(answer, CallError)
        assert answer.kind == expected


def check_requests(server: FaultServer, fault: Fault, *, stream: bool) -> None:
    """The provider saw exactly the attempts, and none where it could see none."""
    sent = 0 if fault.own_url else tries(fault, stream=stream)
    if fault.expected(stream=stream) is Kind.OK:
        sent = 1
    assert server.count() == sent


@pytest.mark.parametrize(("fault", "shape"), cases(PLAIN))
def test_a_plain_call_ends_as_declared(
    ask: Callable[..., Any], server: FaultServer, fault: Fault, shape: str
) -> None:
    """A contract-valid answer from a lower tier, or the caller's own mistake."""
    outcome, answer = ask(fault, shape, "passthrough")
    check(fault, outcome, answer, stream=False)
    check_requests(server, fault, stream=False)


@pytest.mark.parametrize(("fault", "shape"), cases(STREAMS))
def test_a_buffered_stream_ends_as_declared(
    ask: Callable[..., Any], server: FaultServer, fault: Fault, shape: str
) -> None:
    """Nothing is handed on before it is known to be good, so every tier can help."""
    outcome, answer = ask(fault, shape, "buffer")
    check(fault, outcome, answer, stream=True)
    check_requests(server, fault, stream=True)


@pytest.mark.parametrize(("fault", "shape"), cases(STREAMS))
def test_a_passed_on_stream_falls_back_before_its_first_chunk_only(
    ask: Callable[..., Any], server: FaultServer, fault: Fault, shape: str
) -> None:
    """After a chunk was seen the stream ends in the declared error, in one request."""
    outcome, answer = ask(fault, shape, "passthrough")
    if fault.name not in SPOKEN:
        check(fault, outcome, answer, stream=True)
        check_requests(server, fault, stream=True)
        return
    expected = fault.expected(stream=True)
    assert outcome.kind == expected
    assert isinstance(answer, CallError)
    assert answer.kind == expected
    assert server.count() == 1
