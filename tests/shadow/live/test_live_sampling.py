"""Which calls are sampled, and which of them say nothing."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from llmguard import (
    INJECTED,
    Model,
    call_context,
    contract,
    fallback_chain,
    pinned,
    static,
)
from llmguard.shadow.live import shadow
from llmguard.testing import FakeModel, HttpError, Refusal

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


def test_degraded_calls_are_counted_and_cost_nothing(live: Live) -> None:
    """Where the incumbent gave no answer of its own there is nothing to compare."""
    new = FakeModel(NEW)

    @fallback_chain(static(Answer(category="other")), attempts=1)
    @shadow(new.pin(), share=1)
    @contract(Answer)
    @pinned(FakeModel(HttpError(500)).pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    assert "other" == triage("a").category
    live.join()
    assert {"seen": 1, "sampled": 1, "degraded: transport": 1} == live.counts()
    assert () == new.calls


def test_an_answer_that_broke_its_contract_is_the_incumbents_answer(
    live: Live,
) -> None:
    """The first attempt counts, not the re-ask that repaired it, nor the fallback."""
    old = FakeModel([{"category": "nonsense"}, OLD])
    new = FakeModel(Refusal("I cannot."))

    @fallback_chain(static(Answer(category="other")), attempts=2)
    @shadow(new.pin(), share=1, double=0)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    assert _answer(OLD) == triage("a")
    live.join()
    counts = live.counts()
    assert 1 == counts["incumbent: schema"] == counts["challenger: refusal"]
    assert 1 == len(new.calls[0].messages)


def test_a_challenger_that_answers_itself_is_not_compared(live: Live) -> None:
    """A canary that is also in shadow, or an upgrade that was promoted."""
    old, _ = _pair()

    @shadow(old.pin(), share=1)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    triage("a")
    live.join()
    assert 1 == live.counts()["skipped: the challenger itself answered"]
    assert 1 == len(old.calls)


def test_only_the_share_is_sampled_by_the_requests_id(live: Live) -> None:
    """The id that the caller gives decides, so a retried request is the same one."""
    old, new = _pair()

    @shadow(new.pin(), share=0.2, double=0)
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    def sampled(key: str) -> int:
        with call_context(request_id=key):
            triage("a")
        live.join()
        found: int = live.counts()["sampled"]
        return found

    first = [sampled(f"r{n}") for n in range(60)]
    assert first == [sampled(f"r{n}") for n in range(60)]
    assert 3 <= sum(first) <= 24


def test_strata_have_shares_and_minimums_of_their_own(live: Live) -> None:
    """Labels make the stratum; a rare one is sampled more densely until it has some."""
    old, new = _pair()

    @shadow(
        new.pin(), share=0, double=0, by=("intent", "lang"), shares={"intent=refund": 1}
    )
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    for intent in ("refund", "bug"):
        with call_context(intent=intent, lang="de"):
            triage("a")
    triage("b")
    live.join()
    (run,) = live.shadows.runs.values()
    rows, pairs, _ = run.counts.drain(run.key)
    seen = {row.stratum: row.n for row in rows if row.name == "seen"}
    assert {"intent=refund, lang=de": 1, "intent=bug, lang=de": 1, "": 1} == seen
    assert ["intent=refund, lang=de"] == [pair.stratum for pair in pairs]
