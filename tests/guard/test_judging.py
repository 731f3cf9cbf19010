"""How one attempt ended: what is recorded of it, and the error that stands for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmguard import (
    INJECTED,
    Kind,
    Model,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.contract import is_refusal
from llmguard.errors import (
    CallError,
    ContractError,
    Deferred,
    PinMismatchError,
    StoreError,
    TierFailedError,
    TierTimeoutError,
    TierUnavailableError,
)
from llmguard.outcome import Attempt, Usage, Violation
from llmguard.reply import Reply
from llmguard.testing import fake_pin

SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in "abcd"},
}
USAGE = Usage(input_tokens=3, output_tokens=4)


def lost(function: Callable[..., Any]) -> tuple[Attempt, CallError]:
    """Call what fails; return its last attempt, and the error that stands for it."""
    with capture() as outcomes, pytest.raises(CallError) as raised:
        function("tea")
    found = outcomes[-1].attempts[-1]
    assert found.kind is raised.value.kind
    return found, raised.value


def kept(function: Callable[..., Any]) -> tuple[Attempt, Any]:
    """Call what answers; return its last attempt, and the answer."""
    with capture() as outcomes:
        found = function("tea")
    return outcomes[-1].attempts[-1], found


def raising(error: Exception) -> Any:
    @contract(str)
    @pinned(fake_pin(["unused"]))
    def price(item: str, *, model: Model = INJECTED) -> str:
        raise error

    return price


def model(reply: Reply, *, keep: bool = True) -> Any:
    """Pin a function that returns what its model said, or the text alone."""

    @pinned(fake_pin(lambda request: reply))
    def price(item: str, *, model: Model = INJECTED) -> Any:
        found = model.complete(item)
        return found if keep else found.text

    return price


VIOLATIONS = tuple(
    Violation(path=f"/{name}", message=f"{name} is wrong", check="mine")
    for name in "abcd"
)


def test_errors_of_a_contract_keep_what_was_violated() -> None:
    """In the attempt all of it; in words the first three that are not said already."""
    given = ContractError("a is wrong", kind=Kind.SEMANTIC, violations=VIOLATIONS)
    found, error = lost(raising(given))
    assert (Kind.SEMANTIC, "a is wrong") == (found.kind, found.detail)
    assert VIOLATIONS == found.violations
    assert isinstance(error, ContractError)
    assert VIOLATIONS == error.violations
    first, second, third, fourth = map(str, VIOLATIONS)
    assert f"ended in `semantic`: a is wrong ({first}; {second}; {third})" in str(error)
    assert fourth not in str(error)
    assert error.__cause__ is given


FAILURES = [
    (
        TierTimeoutError("too slow", kind=Kind.TIMEOUT),
        Kind.TIMEOUT,
        TierTimeoutError,
        "too slow",
    ),
    (
        TierFailedError("it says OK", kind=Kind.OK),
        Kind.ERROR,
        TierFailedError,
        "it says OK",
    ),
    (
        TierFailedError("", kind=Kind.TRANSPORT),
        Kind.TRANSPORT,
        TierFailedError,
        "no detail",
    ),
    (
        TierFailedError("not now", kind=Kind.SKIPPED),
        Kind.SKIPPED,
        TierUnavailableError,
        "not now",
    ),
    (StoreError("run `repair`"), Kind.ERROR, TierFailedError, "run `repair`"),
    (ValueError("secret"), Kind.ERROR, TierFailedError, "ValueError"),
]


@pytest.mark.parametrize(
    ("given", "kind", "cls", "said"), FAILURES, ids=lambda one: type(one).__name__
)
def test_errors_of_a_body(
    given: Exception, kind: Kind, cls: type[CallError], said: str
) -> None:
    """Ours are quoted with their repair, others by their type; all are the cause."""
    found, error = lost(raising(given))
    assert kind is found.kind
    assert said in (found.detail or "no detail")
    assert cls is type(error)
    assert found.pin
    assert (kind, found.tier, found.pin) == (error.kind, error.tier, error.pin)
    assert f"ended in `{kind}`: {found.detail or said}" in str(error)
    assert error.__cause__ is given


def test_a_person_who_answers_later_is_no_failure() -> None:
    """The attempt says where the ticket is; what is raised is control flow."""
    given = Deferred("t-1", queue="q")
    with capture() as outcomes, pytest.raises(Deferred) as raised:
        raising(given)("tea")
    assert raised.value is given
    found = outcomes[-1].attempts[-1]
    assert (Kind.SKIPPED, str(given)) == (found.kind, found.detail)


def test_a_tier_that_is_not_there_says_so_itself() -> None:
    """Its own error stands for it."""
    given = TierUnavailableError("install the extra", kind=Kind.SKIPPED)
    assert lost(raising(given))[1] is given


class Hostile:
    """An answer that cannot be looked at."""

    @property
    def __class__(self) -> Any:
        raise OSError("/secret")


def test_an_answer_that_cannot_be_read_is_an_error() -> None:
    """Named by the type of what was raised; never a crash, never its text."""

    @contract(str)
    def price(item: str) -> Any:
        return Hostile()

    found, error = lost(price)
    assert (Kind.ERROR, "reading it raised OSError") == (found.kind, found.detail)
    assert isinstance(error.__cause__, OSError)


@pytest.mark.parametrize("keep", [True, False])
def test_another_version_is_told_with_its_marks(keep: bool) -> None:
    """Also where nothing was promised, and where the body kept only the text."""
    reply = Reply(text="5", served_model="other", fingerprint="fp-1")
    found, error = lost(model(reply, keep=keep))
    assert (Kind.WRONG_MODEL, "other", "fp-1") == (
        found.kind,
        found.served_model,
        found.fingerprint,
    )
    assert "it served 'other' (fingerprint 'fp-1'); run `llmguard pin" in found.detail
    assert isinstance(error, PinMismatchError)
    assert found.detail in str(error)
    assert (found.tier, found.pin) == (error.tier, error.pin)
    assert found.pin
    found, _ = lost(model(Reply(text="5", served_model="other"), keep=keep))
    assert "it served 'other'; run `llmguard pin" in found.detail


WITHOUT = [
    (Reply(refusal="x" * 300, usage=USAGE), Kind.REFUSAL, "x" * 200),
    (Reply(usage=USAGE), Kind.EMPTY, "the answer has no text"),
    (Reply(text="", usage=USAGE), Kind.EMPTY, "the answer has no text"),
]


@pytest.mark.parametrize(("reply", "kind", "said"), WITHOUT)
def test_no_answer_where_nothing_was_promised(
    reply: Reply, kind: Kind, said: str
) -> None:
    """A refusal or nothing is no answer, with or without a contract."""
    found, error = lost(model(reply))
    assert (kind, said, USAGE) == (found.kind, found.detail, found.usage)
    assert isinstance(error, ContractError)
    assert (found.tier, found.pin) == (error.tier, error.pin)


ANSWERS = [
    (Reply(text="5", confidence=0.5, usage=USAGE), "5"),
    (Reply(value=5, has_value=True, confidence=0.5, usage=USAGE), 5),
]


@pytest.mark.parametrize(("reply", "answer"), ANSWERS)
def test_an_answer_where_nothing_was_promised(reply: Reply, answer: object) -> None:
    """The value or the text, with all that the model told of it."""
    found, value = kept(model(reply))
    assert answer == value
    assert (Kind.OK, 0.5, USAGE) == (found.kind, found.confidence, found.usage)


def test_what_the_body_dropped_is_recorded() -> None:
    """Usage, confidence, prompt and versions are those that the model handle saw."""
    told: dict[str, Any] = {"confidence": 0.5, "usage": USAGE, "prompt_digest": "sha"}
    found, value = kept(model(Reply(text="5", **told), keep=False))
    assert "5" == value
    assert (0.5, USAGE, "sha") == (found.confidence, found.usage, found.prompt_digest)


def test_a_refusal_that_the_body_dropped_counts() -> None:
    """Text beside a refusal that the provider marked is no answer."""
    reply = Reply(text="well", refusal="I will not")
    found, _ = lost(contract(str)(model(reply, keep=False)))
    assert Kind.REFUSAL is found.kind


def test_an_object_of_an_sdk_is_looked_at_too() -> None:
    """What a body got from its own client, and returns, tells which model it was."""
    pytest.importorskip("openai")
    from openai.types.chat import ChatCompletion

    message = {"role": "assistant", "content": "5"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    fields: Any = {"id": "c", "created": 1, "object": "chat.completion"}
    given = ChatCompletion(**fields, model="other", choices=[choice])  # type: ignore[list-item]  # it reads mappings

    @pinned(fake_pin(["unused"]))
    def price(item: str, *, model: Model = INJECTED) -> Any:
        return given

    found, _ = lost(price)
    assert (Kind.WRONG_MODEL, "other") == (found.kind, found.served_model)


@pytest.mark.parametrize("promised", [True, False])
def test_a_provider_that_says_it_failed_has_not_answered(promised: bool) -> None:
    """By the status in its body, whatever else came; what it counted is kept."""
    raw = {"error": {"status": 429, "code": "rate_limit_exceeded"}}
    reply = Reply(text="5", finish_reason="error", raw=raw, usage=USAGE)
    made = model(reply)
    found, error = lost(contract(str)(made) if promised else made)
    assert (Kind.THROTTLED, USAGE) == (found.kind, found.usage)
    assert found.detail
    assert found.detail in str(error)


def test_confidence_of_the_contract_comes_first() -> None:
    """A field of the answer, where one is declared; else what the model told."""
    schema = {
        "type": "object",
        "properties": {"sure": {"type": "number"}},
        "required": ["sure"],
    }
    reply = Reply(text='{"sure": 0.25}', confidence=0.75)
    plain, _ = kept(contract(schema)(model(reply)))
    own, _ = kept(contract(schema, confidence="sure")(model(reply)))
    assert (0.75, 0.25) == (plain.confidence, own.confidence)


def test_what_could_not_be_parsed_is_told() -> None:
    """In the attempt, for whoever looks at it."""
    found, error = lost(contract({"type": "object"})(model(Reply(text="no"))))
    assert Kind.BAD_JSON is found.kind
    assert "must be JSON" in found.detail
    assert found.detail in str(error)


def test_what_the_body_says_itself_counts_first() -> None:
    """A reply that it made by hand is completed, not overruled."""

    @pinned(fake_pin(lambda request: Reply(text="5", confidence=0.5, usage=USAGE)))
    def price(item: str, *, model: Model = INJECTED) -> Any:
        model.complete(item)
        mine = Usage(input_tokens=9, output_tokens=9)
        return Reply(text="6", confidence=0.9, usage=mine)

    found, value = kept(price)
    assert ("6", 0.9) == (value, found.confidence)
    assert found.usage is not None
    assert 9 == found.usage.input_tokens


def sure(confidence: float | None, minimum: float, *, promised: bool) -> Any:
    inner = model(Reply(text='{"a": 1}', confidence=confidence), keep=False)
    made = contract(SCHEMA)(inner) if promised else inner
    chain = fallback_chain(static({"a": 0}), min_confidence=minimum, attempts=1)
    return chain(made)


@pytest.mark.parametrize("promised", [True, False])
@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (0.7, ""),
        (0.6999, "0.700, the tier asks for 0.700"),
        (0.2, "0.200, the tier asks for 0.700"),
        (None, "no confidence, the tier asks for 0.700"),
    ],
)
def test_confidence_is_asked_of_every_answer(
    confidence: float | None, said: str, promised: bool
) -> None:
    """The minimum itself is enough; what says nothing is not."""
    with capture() as outcomes:
        sure(confidence, 0.7, promised=promised)("tea")
    first = outcomes[-1].attempts[0]
    kind = Kind.LOW_CONFIDENCE if said else Kind.OK
    assert (kind, said) == (first.kind, first.detail)
    assert confidence == first.confidence


def test_checks_see_what_was_asked() -> None:
    """A contract may compare the answer with the call's arguments."""

    def same(value: Any, inputs: Any) -> bool:
        return bool(value["item"] == inputs["item"])

    @contract(
        {"type": "object", "properties": {"item": {"type": "string"}}},
        checks=[same],
    )
    def price(item: str) -> Any:
        return {"item": item}

    assert {"item": "tea"} == price("tea")


def test_the_detector_of_refusals_is_no_part_of_it() -> None:
    """Without a contract text is text, whatever it says."""
    text = "I'm sorry, but I can't help with that."
    assert is_refusal(text)
    assert text == kept(model(Reply(text=text)))[1]
