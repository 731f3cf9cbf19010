"""Never run: mypy and pyright prove here that decorated functions keep their types."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Literal, assert_type

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    Pin,
    capture,
    contract,
    current_outcome,
    fallback_chain,
    on_pin,
    pinned,
    static,
)
from llmguard.outcome import Outcome
from llmguard.shadow.live import shadow


class Answer(BaseModel):
    category: Literal["billing", "other"]


@fallback_chain(on_pin("local"), static(Answer(category="other")), deadline=8.0)
@contract(Answer)
@pinned("triage")
def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
    return model.complete(ticket)


assert_type(triage("t"), Answer)
assert_type(triage(ticket="t"), Answer)


@pinned("triage")
@contract(Answer)
@fallback_chain(static(Answer(category="other")))
def model_first(model: Model, ticket: str, urgent: bool = False) -> Answer:
    return model.complete(ticket if urgent else "")


assert_type(model_first("t", urgent=True), Answer)


@contract
def bare(ticket: str) -> Answer:
    return Answer(category="other" if ticket else "billing")


assert_type(bare("t"), Answer)


@contract(Literal["a", "b"])
@pinned("triage")
async def later(ticket: str, *, model: Model = INJECTED) -> Literal["a", "b"]:
    return await model.acomplete(ticket)


async def use_later() -> None:
    assert_type(await later("t"), Literal["a", "b"])


@contract(str)
@pinned("triage")
def spoken(ticket: str, *, model: Model = INJECTED) -> Iterator[str]:
    yield from model.stream(ticket)


assert_type(spoken("t"), Iterator[str])


@contract(str)
@pinned("triage")
async def heard(ticket: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
    async for chunk in model.astream(ticket):
        yield chunk


async def use_heard() -> None:
    async for chunk in heard("t"):
        assert_type(chunk, str)


class Service:
    @contract({"type": "object"})
    @pinned("triage")
    def method(self, ticket: str, *, model: Model = INJECTED) -> dict[str, object]:
        return model.complete(ticket)


assert_type(Service().method("t"), dict[str, object])

with capture() as outcomes:
    assert_type(outcomes, list[Outcome])
assert_type(current_outcome(), Outcome | None)


@shadow(Pin(route="triage", provider="replay", model="new.jsonl"), share=0.1)
@contract(Answer)
@pinned("triage")
async def shadowed(ticket: str, *, model: Model = INJECTED) -> Answer:
    return await model.acomplete(ticket)


async def use_shadowed() -> None:
    assert_type(await shadowed("t"), Answer)
