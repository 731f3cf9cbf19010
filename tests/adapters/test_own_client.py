"""Pins of providers without an adapter: the function brings its own client."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard import INJECTED, Model, Pin, capture, contract, pinned
from llmguard.adapters import provider_for
from llmguard.errors import ConfigError, TierTimeoutError

PIN = Pin(route="mood", provider="anthropic", model="claude-sonnet-5")


def test_a_function_calls_its_own_sdk() -> None:
    """It gets the version and the time; its SDK's message is read by its shape."""
    asked: list[tuple[str, float]] = []

    @contract(str)
    @pinned(PIN)
    def mood(text: str, *, model: Model = INJECTED) -> Any:
        asked.append((model.id, model.remaining))
        return {
            "type": "message",
            "role": "assistant",
            "model": model.id,
            "content": [{"type": "text", "text": "happy"}],
            "stop_reason": "end_turn",
        }

    with capture() as outcomes:
        assert "happy" == mood("t")
    ((model, seconds),) = asked
    assert "claude-sonnet-5" == model
    assert 0 < seconds <= 30
    assert "claude-sonnet-5" == outcomes[0].served_model


def test_the_model_cannot_be_asked_directly() -> None:
    """The message says the three ways out."""
    model: Model = Model(PIN, provider_for(PIN))
    for ask in (
        lambda: model.complete("t"),
        lambda: list(model.stream("t")),
        lambda: model.client,
    ):
        with pytest.raises(ConfigError, match=r"`model.id`.*register_provider.*openai"):
            ask()


def test_an_unknown_provider_is_still_refused() -> None:
    """A name that no table knows is a typing error; ours need their package."""
    with pytest.raises(ConfigError, match="unknown `provider` 'antropic'"):
        provider_for(Pin(route="mood", provider="antropic", model="m"))


def test_no_time_left_is_a_timeout() -> None:
    """A client must not be asked with a timeout of zero, which may mean none."""
    model: Model = Model(PIN, provider_for(PIN), remaining=lambda: 0.0)
    with pytest.raises(TierTimeoutError):
        _ = model.remaining
