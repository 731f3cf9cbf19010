"""What is followed, how it is asked again, and that its caller never notices."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    capture,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.errors import ConfigError
from llmguard.guard import guard_of
from llmguard.reply import Reply
from llmguard.shadow.live import shadow
from llmguard.telemetry import add_hook, remove_hook
from llmguard.testing import FakeModel, HttpError

Live = Any
"""The fixture `live`, which its conftest defines."""


class Answer(BaseModel):
    category: Literal["billing", "legal", "other"]
    needs_human: bool = False


OLD = {"category": "legal", "needs_human": True}
NEW = {"category": "legal", "needs_human": False}


def _answer(document: dict[str, Any]) -> Answer:
    return Answer.model_validate(document)


def _pair(new: object = NEW, old: object = OLD) -> tuple[FakeModel, FakeModel]:
    return FakeModel(old, name="old-1"), FakeModel(new, name="new-1")


def test_the_challenger_sees_the_same_request_and_serves_none(live: Live) -> None:
    """One more call of it, none of the incumbent, a row that says where they part."""
    old, new = _pair()

    @shadow(new.pin(), share=1, double=0)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(f"Ticket: {ticket}")

    heard: list[str] = []
    hook = add_hook(lambda outcome: heard.append(outcome.pin))
    with capture() as outcomes:
        assert _answer(OLD) == triage("sue you")
        live.join()
    remove_hook(hook)
    assert [old.pin().id] == heard == [each.pin for each in outcomes]
    assert (1, 1) == (len(old.calls), len(new.calls))
    assert old.calls[0].messages == new.calls[0].messages
    assert {
        "seen": 1,
        "sampled": 1,
        "incumbent: ok": 1,
        "challenger: ok": 1,
    } == live.counts()
    row = live.pairs[0]
    assert (3, "/needs_human: true -> false") == (row.rung, row.direction)
    assert not row.content
    body = live.bodies()[0]
    assert "model" == body["mode"]
    assert ["ok"] == [draw["kind"] for draw in body["b"]]
    assert "pair" not in body


def test_double_draws_ask_both_versions_once_more(live: Live) -> None:
    """A' and B', off the request path; the live breaker hears of neither."""
    old, new = _pair()

    @shadow(new.pin(), share=1, double=1)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    triage("a")
    live.join()
    assert (2, 2) == (len(old.calls), len(new.calls))
    counts = live.counts()
    assert 1 == counts["incumbent again: ok"] == counts["challenger again: ok"]
    assert (2, 2) == tuple(len(live.bodies()[0][side]) for side in "ab")
    keys = [each.key for each in live.runtime.breakers.all()]
    assert [f"{guard_of(triage).name}|{old.pin().id}"] == keys


@pytest.mark.parametrize("order", range(6))
def test_the_order_of_decorators_does_not_matter(live: Live, order: int) -> None:
    """`@shadow` is one more that adds to the guard."""
    from itertools import permutations

    old, new = _pair()
    decorators: list[Any] = [
        shadow(new.pin(), share=1, double=0),
        contract(Answer),
        pinned(old.pin()),
    ]

    def triage(ticket: str, *, model: Model = INJECTED) -> Any:
        return model.complete(ticket)

    made: Any = triage
    for decorate in list(permutations(decorators))[order]:
        made = decorate(made)
    made("a")
    live.join()
    assert 1 == live.counts()["challenger: ok"]


def test_methods_and_async_functions_are_run_again(live: Live) -> None:
    """The receiver and the arguments go along; each has its own event loop."""
    old, new = _pair()
    seen: list[tuple[str, str]] = []

    class Desk:
        def __init__(self, name: str) -> None:
            self.name = name

        @fallback_chain(static(Answer(category="other")), idempotent=True)
        @shadow(new.pin(), share=1, double=0)
        @contract(Answer)
        @pinned(old.pin())
        async def triage(self, ticket: str, *, model: Model = INJECTED) -> Answer:
            seen.append((self.name, ticket))
            await asyncio.sleep(0)
            return await model.acomplete(ticket)

    assert _answer(OLD) == asyncio.run(Desk("north").triage("a"))
    live.join()
    assert [("north", "a")] * 2 == seen
    assert 1 == live.counts()["challenger: ok"]
    assert "body" == live.bodies()[0]["mode"]


def test_streams_compare_the_final_value(live: Live) -> None:
    """Generators and async generators, whatever the chunks are."""
    old, new = FakeModel("all good here"), FakeModel("I cannot help with that.")

    @shadow(new.pin(), share=1, double=0)
    @contract(str)
    @pinned(old.pin())
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @fallback_chain(static("none"), idempotent=True)
    @shadow(new.pin(), share=1, double=0)
    @contract(str)
    @pinned(old.pin())
    async def atalk(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    async def whole() -> str:
        return "".join([chunk async for chunk in atalk("b")])

    assert "all good here" == "".join(talk("a")) == asyncio.run(whole())
    live.join()
    counts = live.counts()
    directions = {pair.direction for pair in live.pairs}
    assert (2, 2) == (counts["sampled"], counts["challenger: refusal"])
    assert {"@act: answer -> refusal"} == directions


def test_a_stream_that_its_consumer_leaves_is_no_evidence(live: Live) -> None:
    """Nothing is compared with half an answer."""
    old, new = FakeModel("many words in here"), FakeModel("other")

    @shadow(new.pin(), share=1)
    @contract(str)
    @pinned(old.pin())
    def talk(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    stream = talk("a")
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined] # a generator has it
    live.join()
    assert 1 == live.counts()["degraded: cancelled"]
    assert () == new.calls


def test_what_the_body_does_is_repeated_only_where_declared(live: Live) -> None:
    """Unsaid: the call of a body that does nothing else. True: all. False: the call."""
    old, new = _pair()
    ran: list[str] = []

    def body(ticket: str, *, model: Model = INJECTED) -> Any:
        ran.append(ticket)
        reply: Reply = model.complete(ticket)
        return Answer.model_validate_json(reply.text or "")

    def guarded(idempotent: bool | None) -> Any:
        chain = fallback_chain(static(Answer(category="other")), idempotent=idempotent)
        return chain(
            shadow(new.pin(), share=1, double=0)(
                contract(Answer)(pinned(old.pin())(body))
            )
        )

    guarded(None)("unsaid")
    live.join()
    counts = live.counts()
    reason = "the body does more than one model call, and nobody said that it may run"
    assert 1 == counts[f"skipped: {reason}"]
    assert 0 == len(new.calls)
    guarded(False)("harm")
    live.join()
    assert 1 == live.counts()["challenger: ok"]
    assert ("model", 3) == (live.bodies()[0]["mode"], live.pairs[0].rung)
    assert ["unsaid", "harm"] == ran
    guarded(True)("safe")
    live.join()
    live.counts()
    assert "body" == live.bodies()[0]["mode"]
    assert ["unsaid", "harm", "safe", "safe"] == ran


def test_running_a_harmful_body_twice_is_refused() -> None:
    """In any order of decorators; the message says what happens instead."""
    new = FakeModel("x").pin()
    with pytest.raises(ConfigError, match="leave `run` out"):

        @shadow(new, run="body")
        @fallback_chain(static("none"), idempotent=False)
        def talk(text: str) -> str:
            return text


def test_tool_calls_are_recorded_and_never_executed(live: Live) -> None:
    """They come back as data; only their names are kept without content."""
    from llmguard.testing import ToolUse

    old = FakeModel(ToolUse("refund", '{"amount": 5}'))
    new = FakeModel(ToolUse("close_account", '{"id": 7}'))
    executed: list[str] = []

    @fallback_chain(static("none"), idempotent=False)
    @shadow(new.pin(), share=1, double=0)
    @pinned(old.pin())
    def act(text: str, *, model: Model = INJECTED) -> Any:
        reply: Reply = model.complete(text)
        executed.extend(call.name for call in reply.tool_calls)
        return "done"

    assert "done" == act("a")
    live.join()
    live.counts()
    assert ["refund"] == executed
    row = live.pairs[0]
    assert (2, "@calls: refund -> close_account") == (row.rung, row.direction)
    assert [["close_account"]] == [d["calls"] for d in live.bodies()[0]["b"]]


def test_nested_guards_run_apart_and_without_people(live: Live) -> None:
    """A body that is run again reaches no fallback, no hook and no harmful function."""
    old, new = _pair()
    inner_model, reached = FakeModel(HttpError(500)), list[str]()

    def person(text: str) -> str:
        reached.append(text)
        return "person"

    @fallback_chain(person, static("none"), attempts=1)
    @contract(str)
    @pinned(inner_model.pin())
    def inner(text: str, *, model: Model = INJECTED) -> str:
        return model.complete(text)

    @fallback_chain(static("none"), idempotent=False)
    def pay(text: str) -> str:
        reached.append(f"paid {text}")
        return "paid"

    def outer_of(nested: Any) -> Any:
        @fallback_chain(static(Answer(category="other")), idempotent=True)
        @shadow(new.pin(), share=1, double=0)
        @contract(Answer)
        @pinned(old.pin())
        def outer(ticket: str, *, model: Model = INJECTED) -> Answer:
            nested(ticket)
            return model.complete(ticket)

        return outer

    heard: list[str] = []
    hook = add_hook(lambda outcome: heard.append(outcome.function))
    outer_of(inner)("a")
    outer_of(pay)("b")
    live.join()
    remove_hook(hook)
    assert ["a", "paid b"] == reached
    assert 4 == len(heard)  # two live calls, two nested in them, none of a shadow's
    assert 2 == live.counts()["challenger: error"]


def test_the_caller_may_change_arguments_and_answer_after_the_call(live: Live) -> None:
    """What the shadow needs is copied before the caller has its answer."""
    old, new = _pair()
    hold, seen = threading.Event(), list[object]()

    @fallback_chain(static({}), idempotent=True)
    @shadow(new.pin(), share=1, double=0)
    @contract({"type": "object"})
    @pinned(old.pin())
    def triage(items: dict[str, Any], *, model: Model = INJECTED) -> Any:
        if seen:
            hold.wait(10)
        seen.append(dict(items))
        reply: Reply = model.complete("a")
        return json.loads(reply.text or "")

    items = {"a": [1]}
    answer = triage(items)
    items["a"], answer["needs_human"] = [], False
    hold.set()
    live.join()
    live.counts()
    assert [{"a": [1]}] * 2 == seen
    assert 3 == live.pairs[0].rung
