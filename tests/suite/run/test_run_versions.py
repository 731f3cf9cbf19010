"""From what a person names to the version that is asked, and with which patience."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import config
from llmguard.errors import ConfigError, LockError
from llmguard.guard import guard_of
from llmguard.outcome import Kind
from llmguard.pins import Pin
from llmguard.suite import Price, Prices, Suite, Verdict, run
from llmguard.suite._arms import make_version, pin_of
from llmguard.suite._journal import read_journal
from llmguard.suite.expect import schema
from llmguard.testing import FakeModel, HttpError, isolated, run_virtual

MakeSuite = Callable[..., Suite]


def own_pin(**changes: Any) -> Pin:
    """Return a pin as `models.lock` would hold it."""
    fields: dict[str, Any] = {
        "route": "triage",
        "provider": "openai",
        "model": "gpt-4o-2024-05-13",
        "params": {"temperature": 0},
        "options": {"api": "responses"},
        "expect_echo": ("gpt-4o-2024-05-13",),
    }
    return Pin(**(fields | changes))


@pytest.fixture
def guarded(triage: Callable[..., Any]) -> Any:
    """Give the guard of a function with a real pin."""
    from dataclasses import replace

    return replace(guard_of(triage), pin=own_pin())


def test_another_model_is_called_as_the_own_one_is(guarded: Any) -> None:
    """Parameters and options stay; the accepted echo does not."""
    pin = pin_of("openai:gpt-4o-2024-08-06", guarded)
    assert ("triage", "gpt-4o-2024-08-06") == (pin.route, pin.model)
    assert ({"temperature": 0}, {"api": "responses"}) == (
        dict(pin.params),
        dict(pin.options),
    )
    assert () == pin.expect_echo


def test_an_alias_is_refused(guarded: Any) -> None:
    """What it stands for tomorrow is not what was tested."""
    with pytest.raises(ConfigError, match="is an alias"):
        pin_of("openai:gpt-4o", guarded)


def test_a_recording_is_a_version(guarded: Any, tmp_path: Path) -> None:
    """Whatever it says was served."""
    pin = pin_of(f"replay:{tmp_path}/x.jsonl", guarded)
    assert ("replay", ("*",)) == (pin.provider, pin.expect_echo)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder without a lock."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    yield
    config.reset()


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize(
    ("named", "error", "said"),
    [
        ("nobody:model-1", ConfigError, "no provider known here"),
        ("p-0123456789", LockError, "models.lock"),
        ("absent-route", LockError, "models.lock"),
    ],
)
def test_a_name_that_nothing_has_is_refused(
    guarded: Any, named: str, error: type[Exception], said: str
) -> None:
    """The message says what can be written."""
    with pytest.raises(error, match=said):
        pin_of(named, guarded)


def test_a_recording_that_is_missing_is_told_at_once(
    triage: Callable[..., Any], tmp_path: Path
) -> None:
    """Before anything is called."""
    guard = guard_of(triage)
    pin = pin_of(f"replay:{tmp_path}/absent.jsonl", guard)
    with pytest.raises(ConfigError, match="does not exist"):
        make_version("candidate", pin, guard)


# Patience


def sampled(path: Path) -> list[tuple[str, int]]:
    """Return how each call of a journal ended, and after how many tries."""
    return [
        (str(entry.sample.kind), entry.sample.attempts)
        for entry in read_journal(path).entries
    ]


def test_transport_failures_are_tried_again_and_counted(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """An answer that came on the third try is an answer."""
    pin = FakeModel([HttpError(503), HttpError(503), {"kind": "x"}]).pin("triage")
    path = tmp_path / "run.jsonl"
    with isolated() as runtime:
        runtime.retry = type(runtime.retry)(base=0.0)
        report = run(make_suite(), pin, concurrency=1, journal=path)
    assert Verdict.PROMOTE is report.verdict
    assert ("ok", 3) == sampled(path)[0]
    assert {} == report.infrastructure


def test_a_few_lost_calls_are_bounded_not_judged(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """One call of sixty that is lost says nothing; the worst it could mean is told."""
    answers = [{"kind": "x"}] * 10 + [HttpError(400)] + [{"kind": "x"}]
    pin = FakeModel(answers).pin("triage")
    with isolated():
        report = run(make_suite(), pin, concurrency=1, seed=1)
    assert Verdict.PROMOTE is report.verdict
    assert {"bad_request": 1} == report.infrastructure
    assert any("lost in transport (1) failed it too" in note for note in report.notes)
    assert report.assertions[0].n == report.calls - 1


def test_many_lost_calls_are_an_error(make_suite: MakeSuite) -> None:
    """More than 2 % cannot be bounded away; the run says which and why."""
    said: list[Any] = []

    def answer(_: object) -> object:
        said.append(1)
        return HttpError(400) if len(said) in {5, 25, 45} else {"kind": "x"}

    with isolated():
        report = run(make_suite(), FakeModel(answer).pin("triage"), seed=1)
    assert Verdict.ERROR is report.verdict
    assert "3 of 60 calls (5 %) failed without saying anything" in report.reason


def test_a_429_is_waited_out_and_costs_no_try(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """`Retry-After` slows the run down; nothing is lost."""
    throttled = [HttpError(429, retry_after=30)] * 3
    pin = FakeModel([*throttled, {"kind": "x"}]).pin("triage")
    path = tmp_path / "run.jsonl"

    async def main() -> Any:
        import asyncio

        from llmguard.suite import arun
        from llmguard.testing import VirtualClock

        class LoopClock(VirtualClock):
            def monotonic(self) -> float:
                return asyncio.get_running_loop().time()

            async def asleep(self, seconds: float) -> None:
                await asyncio.sleep(seconds)

        with isolated(clock=LoopClock()):
            return await arun(make_suite(), pin, concurrency=1, journal=path)

    report = run_virtual(main())
    assert Verdict.PROMOTE is report.verdict
    assert ("ok", 4) == sampled(path)[0]
    assert report.elapsed >= 90
    assert any("slow down 3 times" in note for note in report.notes)


def test_dollars_end_a_run(make_suite: MakeSuite) -> None:
    """The limit is kept with what is under way counted in."""
    model = FakeModel({"kind": "x"}, name="new-1")
    prices = Prices(models={"new-1": Price(call=0.5)})
    with isolated():
        report = run(
            make_suite(),
            model.pin("triage"),
            prices=prices,
            max_cost=10.0,
            concurrency=4,
        )
    assert ("budget", Verdict.UNDECIDED) == (report.stopped, report.verdict)
    assert report.cost is not None
    assert 8.0 <= report.cost <= 10.0


def test_repeated_answers_are_left_out_and_told(
    make_suite: MakeSuite,
) -> None:
    """Cases that answered alike five times are not asked where others vary."""
    seen: dict[str, int] = {}

    def answer(request: Any) -> object:
        text = str(request.inputs["text"])
        seen[text] = seen.get(text, 0) + 1
        same = text in {"text 1", "text 2"}
        return {"kind": "same" if same else f"{seen[text]}"}

    suite = make_suite(schema(tolerate=0.005, unacceptable=0.02), cap=12)
    with isolated():
        report = run(suite, FakeModel(answer).pin("triage"), seed=1)
    assert {"c01", "c02"} == set(report.deterministic)
    assert 5 == seen["text 1"] == seen["text 2"]
    assert seen["text 3"] > 5
    assert report.assertions[0].n == report.calls
    assert Verdict.PROMOTE is report.verdict


def test_a_sync_function_runs_on_threads(tmp_path: Path) -> None:
    """Several at once, though each blocks."""
    import threading

    from llmguard import Model, contract, pinned
    from llmguard.guard import INJECTED

    gate = threading.Barrier(4)
    model = FakeModel({"kind": "x"}, name="new-1")

    @contract({"type": "object"})
    @pinned(model.pin("triage"))
    def blocks(text: str, *, model: Model = INJECTED) -> Any:
        gate.wait(timeout=20)
        return model.complete(text)

    cases = [{"id": f"c{n}", "inputs": {"text": str(n)}} for n in range(20)]
    suite = Suite(
        "blocks",
        blocks,
        cases=cases,
        assertions=[schema(tolerate=0.02, unacceptable=0.2)],
    )
    with isolated():
        report = run(suite, model.pin("triage"), concurrency=4)
    assert Verdict.PROMOTE is report.verdict
    assert {Kind.OK} == {Kind.OK, *map(Kind, report.infrastructure)}
