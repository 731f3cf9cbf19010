"""Which calls are sampled, and which of them say nothing."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
from llmguard.shadow.live import ShadowOptions, shadow
from llmguard.shadow.live._sample import fraction, share_of
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


@given(st.text(), st.text(min_size=1), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_samples_no_fewer_requests(
    key: str, salt: str, one: float, other: float
) -> None:
    """What is sampled at a small share is sampled at every larger one."""
    low, high = sorted((one, other))
    found = fraction(key, salt)
    assert 0 <= found < 1
    assert (found < low) <= (found < high)
    assert found == fraction(key, salt)


def test_the_share_is_the_share_and_doubles_are_independent_of_it() -> None:
    """One in twenty, give or take; of these a quarter twice."""
    keys = [f"{n:012x}" for n in range(40_000)]
    sampled = [key for key in keys if fraction(key, "s-1") < 0.05]
    doubled = [key for key in sampled if fraction(key, "s-1/double") < 0.25]
    assert 1_850 < len(sampled) < 2_150
    assert 420 < len(doubled) < 580
    both = sum(fraction(key, "s-2") < 0.05 for key in sampled)
    assert 60 < both < 140  # another run samples others


def test_a_stratum_is_sampled_densely_until_it_has_its_minimum() -> None:
    """Ten times as densely, but never more than all of it."""
    options = ShadowOptions(
        share=0.02, by=("intent",), minimum=30, shares={"intent=refund": 0.5}
    )
    assert 0.2 == pytest.approx(share_of(options, "intent=bug", 29))
    assert 0.02 == share_of(options, "intent=bug", 30)
    assert 1.0 == share_of(options, "intent=refund", 0)
    assert 0.5 == share_of(options, "intent=refund, lang=de", 99)


def test_labels_with_an_id_in_them_do_not_make_a_stratum_each(live: Live) -> None:
    """Beyond fifty they are counted together."""
    old, new = _pair()

    @shadow(new.pin(), share=0, by=("user",))
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    for number in range(60):
        with call_context(user=f"u{number}"):
            triage("a")
    (run,) = live.shadows.runs.values()
    rows, _, _ = run.counts.drain(run.key)
    assert 51 == len(rows)
    assert 10 == next(row.n for row in rows if row.stratum == "(other)")
