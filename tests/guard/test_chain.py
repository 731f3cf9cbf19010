"""The walk down the chain: who answers, what is recorded, what is not retried."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Kind,
    Model,
    call_context,
    capture,
    check,
    contract,
    current_outcome,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.errors import (
    ContractError,
    Deferred,
    FallbackExhaustedError,
    TierFailedError,
)
from llmguard.guard import Runtime, TierContext
from llmguard.reply import Reply
from llmguard.testing import fake_pin


class Price(BaseModel):
    amount: int
    currency: str = "EUR"


GOOD = '{"amount": 5, "currency": "EUR"}'
FALLBACK = Price(amount=0)


def _guarded(replies: Any, *tiers: Any, **options: Any) -> Any:
    @fallback_chain(*tiers, static(FALLBACK), **options)
    @contract(Price, checks=[check.range("amount", minimum=0, maximum=100)])
    @pinned(fake_pin(replies))
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    return price


def _kinds(function: Any, *args: Any) -> list[str]:
    with capture() as outcomes:
        function(*args)
    return [f"{a.tier}:{a.kind}" for a in outcomes[-1].attempts][:-1]


def test_happy_path_records_one_attempt() -> None:
    """A good first answer is one attempt with its pin and its versions."""
    price = _guarded([GOOD])
    assert Price(amount=5) == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert (Kind.OK, 0, False, 1) == (
        outcome.kind,
        outcome.tier_index,
        outcome.degraded,
        len(outcome.attempts),
    )
    assert outcome.pin.startswith("p-")
    assert 64 == len(outcome.contract_digest.removeprefix("sha256:"))


def test_an_answer_that_breaks_the_contract_is_asked_again_once() -> None:
    """The second try quotes the violations; a good answer then counts."""
    seen: list[Any] = []

    def replies(request: Any) -> str:
        seen.append(request.messages)
        return GOOD if len(seen) > 1 else '{"amount": 500}'

    price = _guarded(replies)
    assert Price(amount=5) == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert [(Kind.SEMANTIC, False), (Kind.OK, True)] == [
        (a.kind, a.reask) for a in outcome.attempts
    ]
    assert '{"amount": 500}' == seen[1][-2].content
    assert "amount" in seen[1][-1].content
    assert "100" in seen[1][-1].content


def test_a_second_bad_answer_goes_down() -> None:
    """One re-ask, not two."""
    price = _guarded(["{}", "{}"])
    assert FALLBACK == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert ["schema", "schema", "ok"] == [a.kind for a in outcome.attempts]
    assert "static" == outcome.tier


def test_refusals_are_not_asked_again() -> None:
    """Asking a refusal again teaches the model to be talked round."""
    price = _guarded([Reply(refusal="I cannot help with that."), GOOD])
    assert FALLBACK == price("tea")
    assert ["refusal", "ok"] == [a.kind for a in current_outcome().attempts]  # type: ignore[union-attr] # set by the call above


def test_another_version_that_answers_is_no_answer() -> None:
    """What the provider says it served must be what the pin names."""
    price = _guarded([Reply(text=GOOD, served_model="gpt-other")])
    assert FALLBACK == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    first = outcome.attempts[0]
    assert (Kind.WRONG_MODEL, "gpt-other") == (first.kind, first.served_model)
    assert "gpt-other" in first.detail


def test_a_body_that_keeps_only_the_text_hides_nothing() -> None:
    """The model handle remembers the refusal that the body dropped."""

    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(fake_pin([Reply(text="half an ans", finish_reason="length")]))
    def talk(text: str, *, model: Model = INJECTED) -> str:
        reply: Reply = model.complete(text)
        return str(reply.text)

    assert "sorry" == talk("hi")
    assert Kind.TRUNCATED is current_outcome().attempts[0].kind  # type: ignore[union-attr] # set by the call above


def test_lower_tiers_keep_the_same_contract() -> None:
    """A function tier that answers nonsense is passed over too."""

    def guess(item: str) -> dict[str, int]:
        return {"amount": -1 if item == "tea" else 7}

    price = _guarded(["", ""], guess)
    assert FALLBACK == price("tea")
    assert Price(amount=7) == price("milk")
    outcome = current_outcome()
    assert outcome is not None
    assert ("guess", 1, True) == (outcome.tier, outcome.tier_index, outcome.degraded)


def test_on_pin_runs_the_same_body_on_another_model() -> None:
    """Nothing in the body knows which version runs."""
    local = fake_pin([GOOD], route="local")
    price = _guarded([""], on_pin(local))
    assert Price(amount=5) == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert ("local", local.id) == (outcome.tier, outcome.pin)


def test_conditions_pass_a_tier_over() -> None:
    """`when` sees the inputs and the labels of the call."""

    def cheap(call: TierContext) -> bool:
        return call.labels.get("stakes") != "high"

    local = fake_pin([GOOD, GOOD], route="local")
    price = _guarded(["", ""], on_pin(local, when=cheap))
    assert Price(amount=5) == price("tea")
    with call_context(stakes="high"):
        assert FALLBACK == price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert "its condition said no" == outcome.attempts[-2].detail


def test_a_condition_that_raises_passes_its_tier_over() -> None:
    """A broken condition is reported, and the chain still answers."""

    def broken(call: TierContext) -> bool:
        return bool(call.inputs["missing"])

    price = _guarded([""], on_pin(fake_pin([GOOD], route="local"), when=broken))
    assert FALLBACK == price("tea")
    assert "KeyError" in current_outcome().attempts[-2].detail  # type: ignore[union-attr] # set by the call above


def test_unsure_answers_go_on_down() -> None:
    """Below the tier's confidence, or without any, the next tier is asked."""
    sure = Reply(text=GOOD, confidence=0.9)
    unsure = Reply(text=GOOD, confidence=0.2)
    price = _guarded([sure, unsure, GOOD], min_confidence=0.5)
    assert Price(amount=5) == price("tea")
    assert ["p:low_confidence"] == [
        f"p:{k.split(':')[1]}" for k in _kinds(price, "tea")
    ]
    assert FALLBACK == price("tea")
    assert "no confidence" in current_outcome().attempts[0].detail  # type: ignore[union-attr] # set by the call above


def test_static_answers_are_not_shared() -> None:
    """A caller that changes its answer does not change the next one's."""

    @fallback_chain(static({"tags": []}))
    def tags(text: str) -> dict[str, list[str]]:
        raise RuntimeError(text)

    tags("a")["tags"].append("mine")
    assert {"tags": []} == tags("a")


def test_bugs_in_the_body_fall_back_and_are_no_ones_failure() -> None:
    """A TypeError in the prompt code is not evidence against the version."""

    @fallback_chain(static("x"))
    @contract(str)
    @pinned(fake_pin([GOOD]))
    def buggy(text: str, *, model: Model = INJECTED) -> str:
        return text + 1  # type: ignore[operator] # the bug under test

    for number in range(12):
        assert "x" == buggy(f"t{number}")
        assert Kind.ERROR is current_outcome().attempts[0].kind  # type: ignore[union-attr] # set by the call above


def test_the_callers_own_mistake_is_not_hidden() -> None:
    """400 neither falls back nor counts: the caller must hear of it."""
    from llmguard.testing import HttpError

    price = _guarded([HttpError(400)])
    with pytest.raises(TierFailedError) as caught:
        price("tea")
    assert Kind.BAD_REQUEST is caught.value.kind


def test_what_a_lower_tier_refuses_is_that_tiers_limit() -> None:
    """A smaller model may take no request that long; the tier below still answers."""
    from llmguard.testing import HttpError

    second = fake_pin([HttpError(413)])

    @fallback_chain(on_pin(second, name="small"), static("by rule"))
    @contract(str)
    @pinned(fake_pin([HttpError(503)]))
    def ask(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    with capture() as outcomes:
        assert "by rule" == ask("long")
    kinds = {a.tier: a.kind for a in outcomes[0].attempts}
    assert Kind.BAD_REQUEST is kinds["small"]
    assert Kind.OK is kinds["static"]


def test_without_a_chain_the_failure_is_raised() -> None:
    """One tier, one typed exception, with the violations on it."""

    @contract(Price)
    @pinned(fake_pin(["{}", "{}"]))
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    with pytest.raises(ContractError) as caught:
        price("tea")
    assert ["/amount"] == [v.path for v in caught.value.violations]
    assert "amount" in str(caught.value)


def test_exhausted_chains_raise_one_exception_per_tier() -> None:
    """When even the last tier breaks the contract, nothing is hidden."""

    class Full:
        name, terminal, inline = "full", True, True

        from llmguard.guard import TierOptions

        options = TierOptions()

        def run(self, call: TierContext) -> object:
            raise OSError("disk full")

        def check(self, contract: object) -> None: ...

    @fallback_chain(Full())
    @contract(Price)
    @pinned(fake_pin([""]))
    def price(item: str, *, model: Model = INJECTED) -> Price:
        return model.complete(item)

    with pytest.raises(FallbackExhaustedError) as caught:
        price("tea")
    assert ["empty", "error"] == [str(e.kind) for e in caught.value.exceptions]  # type: ignore[union-attr] # a flat group of ours
    assert caught.value.outcome is not None
    assert "llmguard doctor" in str(caught.value)


def test_deferred_is_raised_and_recorded() -> None:
    """A person will answer: control flow, with the ticket in the outcome."""

    def ask(item: str) -> Price:
        raise Deferred("tk-1", queue="prices")

    price = _guarded([""], ask)
    with pytest.raises(Deferred) as caught:
        price("tea")
    outcome = current_outcome()
    assert outcome is not None
    assert ("tk-1", "tk-1") == (caught.value.ticket_id, outcome.ticket_id)
    assert Kind.SKIPPED is outcome.kind


def test_guarded_inside_guarded() -> None:
    """Inner calls have their own outcome, and outer captures see both."""
    inner = _guarded([GOOD])

    @fallback_chain(static(FALLBACK))
    @contract(Price)
    def outer(item: str) -> Price:
        return inner(item)

    with capture() as outcomes:
        assert Price(amount=5) == outer("tea")
    assert ["price", "outer"] == [o.function.rsplit(".", 1)[-1] for o in outcomes]


def test_a_function_that_is_its_own_fallback_is_stopped() -> None:
    """Endless nesting ends in an error that names the function."""
    holder: dict[str, Any] = {}

    def again(item: str) -> Price:
        return holder["price"](item)

    holder["price"] = _guarded([""] * 50, again)
    with capture() as outcomes:
        assert FALLBACK == holder["price"]("tea")
    details = [a.detail for o in outcomes for a in o.attempts]
    assert any("nested 8 deep" in detail for detail in details)


def test_sync_on_an_event_loop_warns_once() -> None:
    """It works, but it blocks the loop, and says so."""
    price = _guarded([GOOD, GOOD])

    async def main() -> None:
        with pytest.warns(UserWarning, match="blocks it for up to 30 s"):
            price("tea")
        price("tea")

    asyncio.run(main())


def test_the_retry_budget_ends_retries(runtime: Runtime) -> None:
    """A model that always fails is tried about 1.2 times a call, not twice."""
    from llmguard.testing import HttpError

    runtime.retry = type(runtime.retry)(base=1e-9, cap=1e-9)
    price = _guarded([HttpError(500)] * 200)
    tries = 0
    with capture() as outcomes:
        for number in range(4):
            price(f"tea{number}")
    tries = sum(
        a.tier_index == 0 and a.kind != "open" for o in outcomes for a in o.attempts
    )
    assert tries <= 4 + 3 + 1


def test_concurrency_limits_pass_over_at_once() -> None:
    """Nobody queues behind a full tier."""
    inside: list[Any] = []

    @fallback_chain(static("full"), concurrency=1)
    def slow(text: str) -> str:
        inside.append(text)
        return slow("inner") if len(inside) == 1 else "never"

    assert "full" == slow("outer")
    assert ["outer"] == inside
