"""How to test your own guarded function: run it with `pytest` in this directory."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Pin,
    contract,
    current_outcome,
    fallback_chain,
    pinned,
    static,
    warm_up,
)
from llmguard.testing import FaultServer, assert_degrades_to, isolated


class Price(BaseModel):
    """A price in whole euros."""

    euros: int


def guarded(server: FaultServer) -> object:
    """Return the function under test, pinned to the server."""
    pin = Pin(
        route="price",
        provider="openai",
        model="gpt-test-2026-01-01",
        endpoint=server.base_url,
        expect_echo=("*",),
    )

    @fallback_chain(static(Price(euros=0)), deadline=20.0, attempts=1, timeout=5.0)
    @contract(Price)
    @pinned(pin)
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(f"What does {item} cost? JSON with `euros`.")

    warm_up(price)  # importing an SDK takes longer than many deadlines allow
    return price


@pytest.mark.parametrize("fault", ["500", "reset", "malformed_body", "refusal"])
def test_a_failing_provider_costs_no_answer(fault: str) -> None:
    """Whatever the provider does, the caller gets a price."""
    with isolated(), FaultServer(fault) as server:
        assert_degrades_to(guarded(server), "static", "tea")


def test_a_good_answer_is_used() -> None:
    """The first tier answers when it can."""
    with isolated(), FaultServer("ok", answer={"euros": 3}) as server:
        price = guarded(server)
        assert Price(euros=3) == price("tea")  # type: ignore[operator] # a function
        outcome = current_outcome()
        assert outcome is not None
        assert not outcome.degraded
