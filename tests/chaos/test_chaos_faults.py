"""What each fault does to a call, in every kind of function."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from llmguard import (
    INJECTED,
    Model,
    call_context,
    capture,
    chaos,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.outcome import Kind
from llmguard.testing import VirtualClock, fake_pin, isolated, run_virtual

ANSWER = {"category": "billing", "amount": 12}
SCHEMA = {
    "type": "object",
    "properties": {"category": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["category", "amount"],
}
KINDS: Mapping[str, Kind] = {
    "transport": Kind.TRANSPORT,
    "throttled": Kind.THROTTLED,
    "auth": Kind.AUTH,
    "gone": Kind.WRONG_MODEL,
    "hang": Kind.TIMEOUT,
    "refusal": Kind.REFUSAL,
    "truncated": Kind.TRUNCATED,
    "filtered": Kind.FILTERED,
    "empty": Kind.EMPTY,
    "bad_json": Kind.BAD_JSON,
    "wrong_model": Kind.WRONG_MODEL,
    "cut": Kind.TRANSPORT,
}
GO = {"allow_production": True}


def plan(**fault: Any) -> chaos.Plan:
    return chaos.Plan(faults=(chaos.Fault(**fault),))


def guarded() -> Any:
    @fallback_chain(static({"category": "other", "amount": 0}), deadline=5, attempts=1)
    @contract(SCHEMA)
    @pinned(fake_pin(ANSWER))
    def triage(text: str, *, model: Model = INJECTED) -> dict[str, Any]:
        return model.complete(text)

    return triage


def aguarded() -> Any:
    @fallback_chain(static({"category": "other", "amount": 0}), deadline=5, attempts=1)
    @contract(SCHEMA)
    @pinned(fake_pin(ANSWER))
    async def triage(text: str, *, model: Model = INJECTED) -> dict[str, Any]:
        return await model.acomplete(text)

    return triage


@pytest.mark.parametrize("do", sorted(KINDS))
def test_a_fault_ends_in_its_kind(do: str) -> None:
    """The chain answers, and the attempt says that it was chaos where it can."""
    clock = VirtualClock(autojump=True)
    with isolated(clock=clock), chaos.running(plan(do=do), **GO) as so_far:
        with capture() as outcomes:
            assert "other" == guarded()("t")["category"]
        with capture() as later:
            answer = run_virtual(aguarded()("t"), clock=clock)
        assert "other" == answer["category"]
        assert (2,) == so_far().hits
    assert KINDS[do] is outcomes[0].attempts[0].kind
    assert KINDS[do] is later[0].attempts[0].kind


def test_a_delay_is_only_late() -> None:
    """Within the deadline the answer is the model's own; beyond it, the chain's."""
    clock = VirtualClock(autojump=True)
    with isolated(clock=clock), chaos.running(plan(do="delay", seconds=2.0), **GO):
        with capture() as outcomes:
            assert ANSWER == guarded()("t")
        assert 2.0 == pytest.approx(outcomes[0].elapsed, abs=0.1)
    with isolated(clock=clock), chaos.running(plan(do="delay", seconds=9.0), **GO):
        answer = run_virtual(aguarded()("t"), clock=clock)
    assert "other" == answer["category"]


def test_a_change_is_confident_and_wrong() -> None:
    """It passes the contract, as the worst faults do; values are changed as well."""

    def wrong(text: str) -> str:
        return text.replace("12", "1200")

    with isolated(), chaos.running(plan(do="change", change=wrong), **GO):
        with capture() as outcomes:
            assert 1200 == guarded()("t")["amount"]
        assert Kind.OK is outcomes[0].kind

    @contract(SCHEMA)
    @pinned(fake_pin("x"))
    def body(text: str, *, model: Model = INJECTED) -> dict[str, Any]:
        return ANSWER

    def more(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "amount": 99}

    with isolated(), chaos.running(plan(do="change", change=more), **GO):
        assert 99 == body("t")["amount"]


def _talks() -> tuple[Any, Any]:
    @fallback_chain(static("sorry"), deadline=5)
    @contract(str)
    @pinned(fake_pin("one two three four"))
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @fallback_chain(static("sorry"), deadline=5)
    @contract(str)
    @pinned(fake_pin("one two three four"))
    async def atalk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    return talk, atalk


async def _all(stream: AsyncIterator[str]) -> list[str]:
    return [chunk async for chunk in stream]


@pytest.mark.parametrize("do", ["cut", "refusal", "truncated", "transport"])
def test_a_stream_hit_before_its_first_chunk_is_answered_below(do: str) -> None:
    """Sync and async alike."""
    talk, atalk = _talks()
    with isolated(), chaos.running(plan(do=do, chunks=0), **GO):
        assert ["sorry"] == list(talk("t"))
        assert ["sorry"] == asyncio.run(_all(atalk("t")))


def test_a_stream_can_break_after_its_first_chunk() -> None:
    """What was handed on stays handed on; the error says how it ended."""
    talk, atalk = _talks()
    with isolated(), chaos.running(plan(do="cut", chunks=1), **GO):
        with pytest.raises(Exception, match="transport"):
            asyncio.run(_all(atalk("t")))
        stream = talk("t")
        assert "one" in next(stream)
        with pytest.raises(Exception, match="transport"):
            next(stream)


def test_scope_decides_who_is_hit() -> None:
    """Function, tier, pin and labels; the first fault that fits."""
    fails = guarded()
    pin = fails.__llmguard__.pin
    for scope, hit in (
        ({"function": "triage"}, True),
        ({"function": "other"}, False),
        ({"tier": "fake"}, True),
        ({"tier": "static"}, False),
        ({"pin": pin.id}, True),
        ({"pin": "p-0"}, False),
        ({"labels": {"tenant": "acme"}}, True),
        ({"labels": {"tenant": "none"}}, False),
    ):
        with (
            isolated(),
            chaos.running(plan(do="refusal", **scope), **GO) as so_far,
            call_context(tenant="acme"),
        ):
            fails("t")
            assert (int(hit),) == so_far().hits, scope
            assert 1 == so_far().seen


def test_the_rate_is_kept_and_the_seed_repeats_it() -> None:
    """Within four standard deviations; the same ids, the same hits."""
    fails = guarded()
    same = chaos.Fault(do="change", rate=0.3, change=lambda text: text)
    chosen = chaos.Plan(faults=(same,), seed=5)
    with isolated(), chaos.running(chosen, **GO) as so_far:
        for number in range(600):
            fails(f"t{number}")
        (hits,) = so_far().hits
    assert 180 - 45 < hits < 180 + 45
