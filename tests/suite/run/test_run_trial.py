"""One call of one version: what the engine does, and what it leaves out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from llmguard import Model, capture, contract, fallback_chain, pinned
from llmguard.errors import ConfigError
from llmguard.guard import INJECTED, Runtime, current_runtime, guard_of, static
from llmguard.guard._trial import Trial, arun_trial, run_trial, trial_guard
from llmguard.outcome import Kind
from llmguard.testing import FakeModel, HttpError, Refusal, WrongModel, isolated

SCHEMA = {"type": "object", "required": ["kind"]}


def functions(old: FakeModel) -> dict[str, Callable[..., Any]]:
    """Return the same guarded function in each form."""

    @fallback_chain(static({"kind": "fallback"}))
    @contract(SCHEMA)
    @pinned(old.pin("route"))
    def plain(text: str, *, model: Model = INJECTED) -> Any:
        return model.complete(text)

    @fallback_chain(static({"kind": "fallback"}))
    @contract(SCHEMA)
    @pinned(old.pin("route"))
    async def awaited(text: str, *, model: Model = INJECTED) -> Any:
        return await model.acomplete(text)

    @contract(SCHEMA)
    @pinned(old.pin("route"))
    def streamed(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    @contract(SCHEMA)
    @pinned(old.pin("route"))
    async def astreamed(text: str, *, model: Model = INJECTED) -> AsyncIterator[str]:
        async for chunk in model.astream(text):
            yield chunk

    return {"sync": plain, "async": awaited, "gen": streamed, "agen": astreamed}


def tried(form: str, new: FakeModel, *, how: str = "async") -> Trial:
    """Call one form with another version's pin."""
    old = FakeModel({"kind": "old"})
    guard = trial_guard(guard_of(functions(old)[form]), new.pin("route"))
    with isolated() as runtime:
        if how == "sync":
            found = run_trial(guard, runtime, {"text": "hi"})
        else:
            found = asyncio.run(arun_trial(guard, runtime, {"text": "hi"}))
    assert () == old.calls
    assert 1 == len(new.calls)
    return found


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("form", ["sync", "async", "gen", "agen"])
def test_another_version_answers(form: str, how: str) -> None:
    """Every form of function runs with the pin it is given."""
    found = tried(form, FakeModel({"kind": "new"}, name="new-1"), how=how)
    assert Kind.OK is found.kind
    assert {"kind": "new"} == found.value
    assert '{"kind": "new"}' == found.reply.text
    assert found.attempt is not None
    assert "new-1" == found.attempt.served_model


@pytest.mark.parametrize("form", ["sync", "async", "gen", "agen"])
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("no json", Kind.BAD_JSON),
        ({"other": 1}, Kind.SCHEMA),
        (Refusal("I cannot"), Kind.REFUSAL),
        (HttpError(503), Kind.TRANSPORT),
        (HttpError(400), Kind.BAD_REQUEST),
        (WrongModel("other-9", {"kind": "new"}), Kind.WRONG_MODEL),
    ],
)
def test_a_failure_is_told_and_not_cured(form: str, said: object, kind: Kind) -> None:
    """There is one try: no fallback, no retry, no re-ask."""
    found = tried(form, FakeModel(said))
    assert kind is found.kind
    assert found.value is None
    assert 1 == len(found.outcome.attempts)


def test_the_wait_that_a_provider_asks_for_is_kept() -> None:
    """Pacing a run needs the `Retry-After` of a 429."""
    found = tried("sync", FakeModel(HttpError(429, retry_after=7)))
    assert Kind.THROTTLED is found.kind
    assert 7.0 == found.retry_after


def test_text_and_calls_are_kept_where_the_body_drops_them() -> None:
    """A body that parses the answer itself hides nothing of what was said."""
    new = FakeModel('{"kind": "new"}')

    @contract(SCHEMA)
    @pinned(new.pin("route"))
    def parses(text: str, *, model: Model = INJECTED) -> Any:
        model.complete(text)
        return {"kind": "parsed"}

    guard = trial_guard(guard_of(parses), new.pin("route"))
    with isolated() as runtime:
        found = run_trial(guard, runtime, {"text": "hi"})
    assert {"kind": "parsed"} == found.value
    assert '{"kind": "new"}' == found.reply.text


def test_nobody_is_told(runtime: Runtime) -> None:
    """Neither `capture()` nor a breaker hears of a trial."""
    new = FakeModel(HttpError(503))
    guard = trial_guard(guard_of(functions(FakeModel())["sync"]), new.pin("route"))
    with capture() as outcomes:
        for _ in range(10):
            run_trial(guard, runtime, {"text": "hi"})
    assert [] == list(outcomes)
    assert 10 == len(new.calls)
    assert [] == list(runtime.breakers.all())


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """Give a runtime whose breakers nobody else has touched."""
    with isolated():
        yield current_runtime()


def test_a_function_that_picks_its_model_is_refused() -> None:
    """Without `@pinned` there is nothing to put another version into."""

    @contract(SCHEMA)
    def own(text: str) -> Any:
        return {"kind": text}

    with pytest.raises(ConfigError, match=r"is not `@pinned`.*decorate it"):
        trial_guard(guard_of(own), FakeModel().pin("route"))
