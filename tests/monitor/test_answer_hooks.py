"""The channel that carries what models said to whoever watches behaviour."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Kind,
    Model,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.guard import Runtime, current_runtime, guard_of
from llmguard.guard._trial import run_trial, trial_guard
from llmguard.telemetry import Answer, add_answer_hook, remove_answer_hook
from llmguard.telemetry.answers import lost_answers
from llmguard.testing import fake_pin


class Price(BaseModel):
    amount: int


@pytest.fixture
def heard() -> Iterator[list[Answer]]:
    """Listen for the length of a test."""
    answers: list[Answer] = []
    hook = add_answer_hook(answers.append)
    yield answers
    remove_answer_hook(hook)


def _price(*replies: Any) -> Any:
    @fallback_chain(static(Price(amount=0)))
    @contract(Price)
    @pinned(fake_pin(list(replies)))
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    return price


def test_every_attempt_is_told_with_its_text_value_and_inputs(
    heard: list[Answer],
) -> None:
    """A re-ask is a second answer; the tier below is told too, without a pin."""
    _price("nonsense", '{"amount": "x"}')("tea")
    kinds = [answer.attempt.kind for answer in heard]
    assert [Kind.BAD_JSON, Kind.SCHEMA, Kind.OK] == kinds
    assert ["nonsense", '{"amount": "x"}', None] == [answer.text for answer in heard]
    assert [None, None, Price(amount=0)] == [answer.value for answer in heard]
    assert all(answer.inputs == {"item": "tea"} for answer in heard)
    assert len({answer.call_id for answer in heard}) == 1
    assert heard[0].attempt.pin
    assert not heard[2].attempt.pin


def test_the_value_told_is_the_one_returned(heard: list[Answer]) -> None:
    """It travels by reference: nothing is copied on the caller's path."""
    returned = _price('{"amount": 5}')("tea")
    assert heard[0].value is returned


def test_what_nobody_waited_for_is_not_told(heard: list[Answer]) -> None:
    """A trial of another version must not count as live behaviour."""
    guard = guard_of(_price('{"amount": 5}'))
    pin = guard.pin
    assert pin is not None
    assert not isinstance(pin, str)
    run_trial(trial_guard(guard, pin), current_runtime(), {"item": "tea"})
    assert [] == heard


def test_a_raising_hook_fails_no_call(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged and counted."""

    def broken(_: Answer) -> None:
        raise ValueError("mine")

    before = lost_answers()
    add_answer_hook(broken)
    try:
        with caplog.at_level(logging.ERROR, logger="llmguard"):
            assert Price(amount=5) == _price('{"amount": 5}')("tea")
    finally:
        remove_answer_hook(broken)
        remove_answer_hook(broken)
    assert before + 1 == lost_answers()
