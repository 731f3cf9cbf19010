"""A challenger that hangs, breaks, babbles; arguments that cannot be copied."""

from __future__ import annotations

import threading
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from llmguard import INJECTED, Model, contract, fallback_chain, pinned, static
from llmguard.errors import ConfigError
from llmguard.guard import Runtime
from llmguard.reply import Reply
from llmguard.shadow import ShadowOptions, shadow
from llmguard.testing import (
    Cut,
    Empty,
    FakeModel,
    Filtered,
    Hang,
    HttpError,
    Refusal,
    Truncated,
)

Live = Any
"""The fixture `live`, which its conftest defines."""


class Answer(BaseModel):
    category: Literal["legal", "bug"]
    human: bool


OLD = {"category": "legal", "human": True}
FAULTS = {
    "garbage": ("}{ no json", "bad_json", 2),
    "another shape": ({"sorry": 1}, "schema", 2),
    "refusal": (Refusal("I cannot help with that."), "refusal", 1),
    "empty": (Empty(), "empty", 1),
    "truncated": (Truncated('{"category": "le'), "truncated", 1),
    "filtered": (Filtered(), "filtered", 1),
    "down": (HttpError(503), "transport", 0),
    "throttled": (HttpError(429), "throttled", 0),
    "no key": (HttpError(401), "auth", 0),
    "cut": (Cut("{"), "transport", 0),
    "a bug in its client": (ZeroDivisionError("no"), "skipped", 0),
}


def _triage(old: FakeModel, new: FakeModel, **options: Any) -> Any:
    @shadow(new.pin(), share=1, **{"double": 0, **options})
    @contract(Answer)
    @pinned(old.pin())
    def triage(ticket: str, *, model: Model = INJECTED) -> Answer:
        return model.complete(ticket)

    return triage


@pytest.mark.parametrize("name", FAULTS)
def test_callers_see_nothing_and_the_counts_say_what_happened(
    live: Live, name: str
) -> None:
    """Behaviour parts on its rung; what says nothing about behaviour is apart."""
    said, kind, rung = FAULTS[name]
    triage = _triage(FakeModel(OLD), FakeModel(said))
    for number in range(3):
        assert Answer(category="legal", human=True) == triage(f"t{number}")
        live.join()
    counts = live.counts()
    assert 3 == counts["sampled"]
    assert counts[f"challenger: {kind}"] >= 1, counts
    assert {rung} == {pair.rung for pair in live.pairs}
    assert [] == [n for n in counts if n.startswith("failed")]


def test_a_hanging_challenger_is_left_and_then_not_asked(live: Live) -> None:
    """At its deadline; its threads are not those of live calls."""
    hang = FakeModel(Hang())
    triage = _triage(FakeModel(OLD), hang, deadline=0.05, concurrency=1)
    for number in range(8):
        triage(f"t{number}")
        live.join()
    counts = live.counts()
    hang.release()
    assert 5 == counts["challenger: timeout"]
    assert 3 == counts["skipped: the challenger's breaker is open"]
    couriers = live.runtime.couriers
    assert couriers is None or 0 == couriers.zombies


def test_more_than_may_wait_is_dropped_and_counted(live: Live) -> None:
    """The queue is bounded, and nobody waits for a place in it."""
    gate = threading.Event()

    def say(request: object) -> object:
        gate.wait(30)
        return OLD

    triage = _triage(
        FakeModel(OLD), FakeModel(say), concurrency=1, capacity=3, deadline=60
    )
    for number in range(10):
        triage(f"t{number}")
    gate.set()
    live.join()
    counts = live.counts()
    assert 10 == counts["challenger: ok"] + counts["dropped: the queue is full"]
    assert counts["dropped: the queue is full"] >= 6


def test_arguments_that_cannot_be_copied_cost_a_sample_only(live: Live) -> None:
    """The call is as good as ever."""

    @fallback_chain(static("none"), idempotent=True)
    @shadow(FakeModel("b").pin(), share=1)
    @contract(str)
    @pinned(FakeModel("a").pin())
    def talk(items: list[object], *, model: Model = INJECTED) -> str:
        return model.complete("text")

    loop: list[object] = []
    loop.append(loop)
    assert "a" == talk(loop)
    live.join()
    assert 1 == live.counts()["dropped: copying raised RecursionError"]


def test_values_that_raise_when_read_cost_a_sample_only(live: Live) -> None:
    """A foreign object in the answer fails nobody's call."""

    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("not mine to show")

    @fallback_chain(static("none"), idempotent=True)
    @shadow(FakeModel("b").pin(), share=1)
    @pinned(FakeModel("a").pin())
    def make(text: str, *, model: Model = INJECTED) -> object:
        reply: Reply = model.complete(text)
        return {"reply": reply.text, "odd": Odd()}

    assert {"reply", "odd"} == set(make("x"))  # type: ignore[call-overload] # a dict
    live.join()
    counts = live.counts()
    assert 1 == counts["sampled"]
    assert 1 == sum(n for name, n in counts.items() if name.startswith("degraded"))


def test_a_watch_that_breaks_is_counted_and_nobody_sees_it(live: Live) -> None:
    """Even a fault of ours on the way in fails no call."""
    triage = _triage(FakeModel(OLD), FakeModel(OLD))
    live.shadows._found = None
    assert triage("a").human
    assert 1 == live.shadows.failed


def test_live_calls_go_first(live: Live) -> None:
    """The incumbent is not drawn again while its breaker is not closed."""
    old = FakeModel(OLD)
    triage = _triage(old, FakeModel(OLD), double=1)
    triage("a")
    live.join()
    (breaker,) = live.runtime.breakers.all()
    assert 2 == len(old.calls)
    gate = threading.Event()

    def say(request: object) -> object:
        gate.wait(30)
        return OLD

    triage = _triage(old, FakeModel(say), double=1, deadline=60)
    triage("b")
    for each in live.runtime.breakers.all():
        each.trip("a test")
    gate.set()
    live.join()
    assert breaker is not None
    assert 3 == len(old.calls)
    assert 1 == live.counts()["skipped: live calls need the incumbent"]


@pytest.mark.parametrize(
    "options",
    [
        {"share": 1.5},
        {"double": -0.1},
        {"by": ("intent",), "shares": {"refund": 0.5}},
        {"shares": {"intent=refund": 0.5}},
        {"capacity": 0},
        {"hours": 0},
        {"max_calls": 0},
        {"max_cost": 1.0},
        {"minimum": -1},
        {"run": "twice"},
        {"on_exit": "wait"},
        {"redact": "everything"},
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    """At decoration; the message names the option and what it must be."""
    with pytest.raises(ConfigError, match=next(reversed(options)).split("=")[0]):
        ShadowOptions(**options)


def test_options_survive_the_store() -> None:
    """What a newer version adds is left out by an older one."""
    options = ShadowOptions(share=0.1, by=("a",), shares={"a=b": 1.0}, hours=None)
    assert options == ShadowOptions.read(options.text())
    more = options.text().replace("{", '{"new": 1, ', 1)
    assert options == ShadowOptions.read(more)
    with pytest.raises(ConfigError, match="cannot be read"):
        ShadowOptions.read("[]")
    named = ShadowOptions(redact=str.upper)
    assert "builtins" in named.text() or "upper" in named.text()
    assert Runtime().watch is None
