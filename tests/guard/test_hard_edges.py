"""Corners of the guard that no ordinary call reaches."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard import INJECTED, Model, fallback_chain, pinned, static
from llmguard.errors import ConfigError
from llmguard.guard import RetryPolicy, warm_up
from llmguard.guard._retry import RetryBudget, backoff
from llmguard.testing import fake_pin


def test_a_budget_that_is_spent_gives_no_retry() -> None:
    """Three retries to start with, then one for every five first tries."""
    budget = RetryBudget()
    assert [True, True, True, False] == [budget.withdraw() for _ in range(4)]
    for _ in range(5):
        budget.deposit()
    assert [True, False] == [budget.withdraw() for _ in range(2)]


def test_waits_are_capped() -> None:
    """However often a tier is tried, no wait is drawn from more than the cap."""
    import random

    rng = random.Random(3)
    policy = RetryPolicy(base=1.0, cap=2.0)
    waits = [backoff(n, policy=policy, rng=rng) for n in range(1, 60)]
    assert max(waits) <= 2.0
    assert max(waits[:1]) <= 1.0


def test_warming_asks_no_model() -> None:
    """Only what is guarded can be warmed, and a fake has nothing to load."""

    @fallback_chain(static("x"))
    @pinned(fake_pin(["fine"]))
    def ask(*, model: Model = INJECTED) -> Any:
        return model.complete("hi").text

    warm_up(ask)
    assert "fine" == ask()
    with pytest.raises(ConfigError, match="not guarded"):
        warm_up(len)
