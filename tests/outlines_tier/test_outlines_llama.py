"""The Outlines tier over a real llama.cpp model."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import capture, fallback_chain, static
from llmguard import contract as guarded
from llmguard.contract import Contract
from llmguard.errors import ConfigError, TierTimeoutError, TierUnavailableError
from llmguard.outcome import Kind
from llmguard.reply import Reply
from llmguard_fallbacks import outlines

pytestmark = [
    pytest.mark.gguf,
    # llguidance calls llama.cpp by an older name.
    pytest.mark.filterwarnings("ignore:llama_token_get_attr:DeprecationWarning"),
]


def prompt(inputs: Any) -> str:
    return f"Ticket: {inputs['text']}\nTriage:\n"


def test_every_answer_satisfies_the_contract(
    llama: Any, ticket: Any, call: Any
) -> None:
    """Sampled hot, the masked answers are still whole and valid."""
    contract = Contract(ticket)
    tier = outlines(llama, prompt=prompt, temperature=1.8)
    tier.check(contract)
    replies = [tier.run(call(contract, text=f"{n} Refund me!")) for n in range(5)]
    kinds = [contract.judge(r).kind for r in replies if isinstance(r, Reply)]
    assert [Kind.OK] * 5 == kinds


def test_open_schemas_are_bounded(llama: Any, call: Any) -> None:
    """Numbers and lists without bounds close before the tokens run out."""

    class Open(BaseModel):
        count: int
        amount: float
        flags: list[bool]

    contract = Contract(Open)
    tier = outlines(llama, prompt=prompt, temperature=2.0)
    tier.check(contract)
    replies = [tier.run(call(contract)) for _ in range(3)]
    kinds = [contract.judge(r).kind for r in replies if isinstance(r, Reply)]
    assert [Kind.OK] * 3 == kinds


def test_a_choice_answers_a_string_contract(llama: Any, call: Any) -> None:
    """Outlines writes a bare word; the contract reads it as the value."""
    contract = Contract(Literal["yes", "no"])
    tier = outlines(llama, output_type=Literal["yes", "no"])
    tier.check(contract)
    reply = tier.run(call(contract))
    assert isinstance(reply, Reply)
    assert contract.judge(reply).value in {"yes", "no"}


def test_a_schema_without_grammar_is_refused_at_decoration(llama: Any) -> None:
    """What no grammar can say is not left to the first call."""
    contract = Contract({"allOf": [{"const": 1}, {"const": 2}]})
    with pytest.raises(ConfigError, match="no grammar can be built"):
        outlines(llama).check(contract)


def test_a_grammar_that_does_not_compile_is_refused(llama: Any) -> None:
    """A wrong grammar would otherwise leave decoding without any constraint."""
    from outlines.types import cfg

    with pytest.raises(ConfigError, match="output_type"):
        outlines(llama, output_type=cfg("start: nowhere")).check(Contract(str))


def test_a_missing_kernel_is_refused(llama: Any, ticket: Any) -> None:
    """outlines_core without numba would answer unconstrained text."""
    try:
        import numba  # type: ignore[import-not-found,unused-ignore] # optional
    except ImportError:
        tier = outlines(llama, backend="outlines_core")
        with pytest.raises(ConfigError, match="numba"):
            tier.check(Contract(ticket))
    else:
        pytest.skip(f"numba {numba.__version__} is installed")


def test_a_failing_mask_is_no_answer(llama: Any, ticket: Any, call: Any) -> None:
    """llama.cpp swallows the exception; the tier does not."""
    contract = Contract(ticket)
    tier = outlines(llama, prompt=prompt)
    steered = tier._ask(contract)[1]
    assert steered is not None

    class Broken:
        def reset(self) -> None:
            pass

        def __call__(self, input_ids: Any, logits: Any) -> Any:
            raise RuntimeError("no mask")

    steered._idle[0].logits_processor._inner = Broken()
    with pytest.raises(TierUnavailableError, match="no mask"):
        tier.run(call(contract))


def test_the_deadline_ends_the_answer(llama: Any, ticket: Any, call: Any) -> None:
    """Decoding stops at the next token, and the model serves the next call."""
    contract = Contract(ticket)
    tier = outlines(llama, prompt=prompt)
    left = iter([1.0, 1.0])
    late = call(contract, remaining=lambda: next(left, 0.0))
    with pytest.raises(TierTimeoutError):
        tier.run(late)
    reply = tier.run(call(contract))
    assert isinstance(reply, Reply)
    assert Kind.OK is contract.judge(reply).kind


def test_it_answers_in_a_chain(llama: Any, ticket: Any) -> None:
    """When the function itself fails, the model answers in its place."""
    other = {"category": "other", "priority": "low", "needs_human": True}

    @fallback_chain(outlines(llama, prompt=prompt), static(other))
    @guarded(ticket)
    def triage(text: str) -> Any:
        raise ConnectionError(text)

    with capture() as outcomes:
        answer = triage("I was charged twice")
    assert isinstance(answer, ticket)
    assert "outlines" == outcomes[0].tier
