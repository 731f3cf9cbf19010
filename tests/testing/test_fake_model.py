"""A fake model misbehaves on command, behind real pins, providers and guards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from typing_extensions import TypedDict

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.adapters import Model as Handle
from llmguard.adapters import Request, provider_for
from llmguard.errors import ConfigError, RemoteCallRefusedError
from llmguard.outcome import Kind, Outcome
from llmguard.pins import Pin
from llmguard.reply import Reply
from llmguard.testing import (
    Cut,
    Empty,
    FakeModel,
    Filtered,
    Hang,
    HttpError,
    Refusal,
    Slow,
    ToolUse,
    Truncated,
    VirtualClock,
    WrongModel,
    fake_pin,
    isolated,
    refuse_remote,
)


class Answer(TypedDict):
    n: int


GOOD: Answer = {"n": 1}
LOW: Answer = {"n": 0}


def handle(pin: Pin) -> Handle:
    """Return a model handle outside any guard."""
    return Handle(pin, provider_for(pin))


def outcome_of(reply: object) -> Outcome:
    """Return the outcome of one sync call whose first tier says `reply`."""
    from llmguard import capture

    @fallback_chain(static(LOW), deadline=5.0, attempts=1)
    @contract(Answer)
    @pinned(fake_pin(reply, clock=VirtualClock(autojump=True)))
    def ask(*, model: Model = INJECTED) -> Answer:
        return model.complete("?")

    with isolated(), capture() as outcomes:
        ask()
    return outcomes[-1]


KINDS = [
    (GOOD, Kind.OK),
    ('{"n": 1}', Kind.OK),
    (Reply(value=GOOD, has_value=True), Kind.OK),
    (Slow(1.0, GOOD), Kind.OK),
    (lambda _: GOOD, Kind.OK),
    (Refusal(), Kind.REFUSAL),
    (Truncated(), Kind.TRUNCATED),
    (Filtered(), Kind.FILTERED),
    (Empty(), Kind.EMPTY),
    (ToolUse("look_up"), Kind.EMPTY),
    (WrongModel(answer=GOOD), Kind.WRONG_MODEL),
    (Cut('{"n"'), Kind.TRANSPORT),
    (Hang(), Kind.TIMEOUT),
    (Slow(100.0, GOOD), Kind.TIMEOUT),
    (ConnectionRefusedError(), Kind.TRANSPORT),
    (TimeoutError, Kind.TIMEOUT),
    (HttpError(500), Kind.TRANSPORT),
    (HttpError(401), Kind.AUTH),
    (HttpError(404, code="model_not_found"), Kind.WRONG_MODEL),
    (HttpError(429, retry_after=300), Kind.THROTTLED),
    (HttpError(429, code="insufficient_quota"), Kind.AUTH),
    ("no json", Kind.BAD_JSON),
    ({"m": 1}, Kind.SCHEMA),
    (KeyError("a bug"), Kind.ERROR),
]


@pytest.mark.parametrize(("reply", "kind"), KINDS)
def test_every_entry_ends_as_it_says(reply: object, kind: Kind) -> None:
    """The guard sees what it would see from a real provider."""
    outcome = outcome_of(reply)
    assert outcome.attempts[0].kind == kind
    assert outcome.tier_index == (0 if kind is Kind.OK else 1)


def test_a_script_runs_in_order_and_its_last_entry_repeats() -> None:
    """The same fake serves every call."""
    model = handle(fake_pin(["a", "b"]))
    assert [model.complete("?").text for _ in range(3)] == ["a", "b", "b"]


def test_an_empty_script_is_refused() -> None:
    """A fake must have something to say."""
    with pytest.raises(ConfigError, match="at least one reply"):
        FakeModel([])


def test_calls_are_recorded() -> None:
    """What was asked can be asserted on."""
    fake = FakeModel(lambda request: request.messages[0].content.upper())
    pin = fake.pin("triage", params={"temperature": 0})
    assert handle(pin).complete("hello").text == "HELLO"
    (call,) = fake.calls
    assert isinstance(call, Request)
    assert dict(call.params) == {"temperature": 0}


def test_one_fake_can_have_several_pins() -> None:
    """Routes share the script, and have different ids."""
    fake = FakeModel(["a", "b"])
    first, second = fake.pin("one"), fake.pin("two")
    assert handle(first).complete("?").text == "a"
    assert handle(second).complete("?").text == "b"
    assert first.id != second.id
    assert fake_pin("x").id != fake_pin("x").id


def test_streams_deliver_the_same_text_in_words() -> None:
    """Sync and async streams end with the whole reply."""
    fake = FakeModel("one two  three")
    stream = handle(fake.pin()).stream("?")
    assert list(stream) == ["one ", "two  ", "three"]
    assert stream.reply is not None
    assert stream.reply.text == "one two  three"

    async def main() -> list[str]:
        return [text async for text in handle(fake.pin()).astream("?")]

    assert asyncio.run(main()) == ["one ", "two  ", "three"]


def test_a_cut_stream_breaks_after_its_text() -> None:
    """What came before the cut was seen."""
    stream = handle(fake_pin(Cut("half an"))).stream("?")
    assert [next(stream), next(stream)] == ["half ", "an"]
    with pytest.raises(ConnectionResetError):
        next(stream)


def test_guarded_streams_work_too() -> None:
    """Generators of both kinds run on a fake."""
    pin = fake_pin("one two")

    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(pin)
    def stream(*, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream("?")

    @fallback_chain(static("sorry"))
    @contract(str)
    @pinned(pin)
    async def astream(*, model: Model = INJECTED) -> AsyncIterator[str]:
        async for text in model.astream("?"):
            yield text

    async def main() -> list[str]:
        return [text async for text in astream()]

    with isolated():
        assert list(stream()) == ["one ", "two"]
        assert asyncio.run(main()) == ["one ", "two"]


def test_a_hang_can_be_released() -> None:
    """Nothing waits for a fake for ever."""
    fake = FakeModel(Slow(3600.0, "late"))
    fake.release()
    reply = provider_for(fake.pin()).complete(Request(messages=()))
    assert reply.text == "late"


def test_waiting_can_be_virtual() -> None:
    """Sync and async waits follow the clock."""
    clock = VirtualClock(autojump=True)
    pin = fake_pin(Slow(20.0, "late"), clock=clock)
    assert handle(pin).complete("?").text == "late"
    assert asyncio.run(handle(pin).acomplete("?")).text == "late"
    assert clock.monotonic() == 40.0


def test_a_remote_fake_is_refused_like_a_real_provider() -> None:
    """`refuse_remote` applies to fakes that say they are remote, and no others."""
    with refuse_remote():
        assert handle(fake_pin("here")).complete("?").text == "here"
        with pytest.raises(RemoteCallRefusedError, match="refuse_remote"):
            handle(fake_pin("there", remote=True)).complete("?")
    assert handle(fake_pin("there", remote=True)).complete("?").text == "there"


def test_there_is_no_raw_client() -> None:
    """The error names what to use instead."""
    with pytest.raises(ConfigError, match="FaultServer"):
        _ = handle(fake_pin()).client
    with pytest.raises(ConfigError, match="FaultServer"):
        _ = handle(fake_pin()).async_client


def test_a_pin_of_another_process_is_explained() -> None:
    """Fakes do not travel."""
    fake_pin()  # registers the provider
    pin = Pin(route="far", provider="fake", model="m", options={"fake": "fake-0"})
    with pytest.raises(ConfigError, match="another process"):
        provider_for(pin)
