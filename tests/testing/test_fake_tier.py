"""A fake tier answers, fails and waits as told, in real chains."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import TypedDict

from llmguard import Deferred, contract, fallback_chain, static
from llmguard.guard import AsyncTier, Tier
from llmguard.outcome import Kind
from llmguard.testing import (
    Hang,
    Refusal,
    Slow,
    VirtualClock,
    WrongModel,
    assert_contract_valid,
    assert_degrades_to,
    assert_outcome,
    fake_tier,
    isolated,
)


class Answer(TypedDict):
    n: int


def down(n: int) -> Answer:
    """Fail like a provider that is gone."""
    raise ConnectionRefusedError(n)


def test_it_is_a_tier_for_sync_and_async_calls() -> None:
    """Both protocols are satisfied."""
    tier = fake_tier({"n": 1})
    assert isinstance(tier, Tier)
    assert isinstance(tier, AsyncTier)


def test_it_answers_with_data_and_remembers_its_calls() -> None:
    """The answer is judged by the contract like any other."""
    tier = fake_tier([{"n": 1}, lambda call: {"n": call.inputs["n"]}], name="fake")
    ask = fallback_chain(tier, static({"n": 0}))(contract(Answer)(down))
    with isolated():
        assert assert_degrades_to(ask, "fake", 5) == {"n": 1}
        assert assert_degrades_to(ask, "fake", 5) == {"n": 5}
    assert [call.inputs["n"] for call in tier.calls] == [5, 5]


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (Refusal(), Kind.REFUSAL),
        (Hang(), Kind.TIMEOUT),
        (Slow(100.0, {"n": 1}), Kind.TIMEOUT),
        (ValueError("a bug"), Kind.ERROR),
        ({"m": 1}, Kind.SCHEMA),
    ],
)
@pytest.mark.parametrize("run_async", [False, True])
def test_it_fails_as_told(entry: object, kind: Kind, run_async: bool) -> None:
    """The chain goes on below it, in sync and in async calls."""
    from llmguard import capture

    clock = VirtualClock(autojump=True)
    tier = fake_tier(entry, clock=clock)
    chain = fallback_chain(tier, static({"n": 0}), deadline=3.0, attempts=1)

    async def adown(n: int) -> Answer:
        return down(n)

    with isolated(clock=clock), capture() as outcomes:
        if run_async:
            assert asyncio.run(chain(contract(Answer)(adown))(1)) == {"n": 0}
        else:
            assert chain(contract(Answer)(down))(1) == {"n": 0}
    assert_outcome(
        outcomes[-1],
        kind="ok",
        tier="static",
        attempts=["transport", kind, "ok"],
        degraded=True,
    )


def test_a_value_can_come_from_a_wrong_model() -> None:
    """Tiers without a pin have nothing to compare it with."""
    ask = fallback_chain(fake_tier(WrongModel("x", {"n": 3})), static({"n": 0}))(
        contract(Answer)(down)
    )
    with isolated():
        assert assert_degrades_to(ask, "fake", 1) == {"n": 3}


def test_a_ticket_counts_as_the_persons_answer() -> None:
    """`assert_degrades_to` returns the `Deferred`."""
    person = fake_tier(Deferred("t-1", queue="q"), name="person", terminal=True)
    ask = fallback_chain(person)(contract(Answer)(down))
    with isolated():
        deferred = assert_degrades_to(ask, "person", 1)
    assert isinstance(deferred, Deferred)


def test_async_functions_degrade_too() -> None:
    """The assertion is awaited where the function is."""

    @fallback_chain(static({"n": 0}))
    @contract(Answer)
    async def ask(n: int) -> Answer:
        return down(n)

    with isolated():
        assert asyncio.run(assert_degrades_to(ask, "static", 1)) == {"n": 0}


def test_streams_degrade_too() -> None:
    """Chunks are collected."""

    @fallback_chain(static("sorry"))
    @contract(str)
    def stream(n: int) -> object:
        down(n)
        yield "never"

    @fallback_chain(static("sorry"))
    @contract(str)
    async def astream(n: int) -> object:
        down(n)
        yield "never"

    with isolated():
        assert assert_degrades_to(stream, "static", 1) == ["sorry"]
        assert asyncio.run(assert_degrades_to(astream, "static", 1)) == ["sorry"]


def test_the_wrong_tier_is_reported_with_the_attempts() -> None:
    """The message tells the whole story."""
    ask = fallback_chain(static({"n": 0}))(contract(Answer)(down))
    expected = r"'fake' to answer, not 'static'; attempts:\n  primary #1: transport"
    with isolated(), pytest.raises(AssertionError, match=expected):
        assert_degrades_to(ask, "fake", 1)


def test_a_different_outcome_is_reported() -> None:
    """Every field that differs is named."""
    from llmguard import capture

    ask = fallback_chain(static({"n": 0}), attempts=1)(contract(Answer)(down))
    with isolated(), capture() as outcomes:
        ask(1)
    assert_outcome(outcomes[0], attempts=2)
    with pytest.raises(AssertionError, match=r"`tier` is 'static', expected 'x'; att"):
        assert_outcome(outcomes[0], tier="x")
    with pytest.raises(AssertionError, match="no guarded call"):
        assert_outcome(None)


def test_values_are_held_against_the_contract() -> None:
    """By the function that has it; the read value comes back."""
    ask = contract(Answer)(down)
    assert assert_contract_valid(ask, {"n": 4}, n=1) == {"n": 4}
    with pytest.raises(AssertionError, match="is schema:"):
        assert_contract_valid(ask, {"n": "four"}, n=1)
