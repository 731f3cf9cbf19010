"""What a whole run says, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmguard import Model, contract, pinned
from llmguard.guard import INJECTED, Runtime
from llmguard.pins import Pin
from llmguard.suite import Case, Sample, Status, Suite, Verdict, run
from llmguard.suite.expect import custom, length, schema
from llmguard.testing import FakeModel, HttpError, WrongModel

MakeSuite = Callable[..., Suite]
Failing = Callable[..., Pin]

pytestmark = pytest.mark.usefixtures("runtime")


def test_a_version_that_never_fails_is_promoted(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Three rounds of twenty show that fewer than 20 % fail."""
    report = run(make_suite(), failing(), seed=1)
    assert Verdict.PROMOTE is report.verdict
    assert "decided" == report.stopped
    assert (3, 60) == (report.rounds, report.calls)
    assert "every one of 1 assertion was accepted" == report.reason
    (only,) = report.assertions
    assert Status.ACCEPTED is only.status
    assert (
        "not worse than 20 % with 95 % confidence; 60 calls, 0 failed" == only.sentence
    )
    assert "new-1" in report.candidate.served


def test_a_version_that_fails_everywhere_is_blocked_at_once(
    make_suite: MakeSuite,
) -> None:
    """A few failures say enough; the run does not go on to the end of the round."""
    broken = FakeModel({"other": 1}, name="new-1").pin("triage")
    report = run(make_suite(), broken, seed=1, concurrency=1)
    assert Verdict.BLOCK is report.verdict
    assert report.calls < 10
    (only,) = report.assertions
    assert only.n == only.failures == report.calls
    assert report.reason.startswith("`schema`: worse than the tolerated 2 %")


def test_a_full_run_goes_on_after_a_block(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """`full` names everything that broke, not only the first thing."""
    suite = make_suite(
        schema(tolerate=0.02, unacceptable=0.2),
        custom(
            "short",
            lambda _, sample: len(sample.text or "") < 5,
            tolerate=0.02,
            unacceptable=0.2,
        ),
    )
    fast = run(suite, failing("text 3"), seed=1)
    whole = run(suite, failing("text 3"), seed=1, full=True)
    assert Verdict.BLOCK is fast.verdict is whole.verdict
    assert whole.calls > fast.calls
    assert Status.OPEN not in {each.status for each in whole.assertions}


def test_a_rate_between_the_two_is_undecided_at_the_cap(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """The cap ends a run that cannot tell, and never counts as a pass."""
    suite = make_suite(schema(tolerate=0.04, unacceptable=0.06), cap=3)
    report = run(suite, failing("text 7"), seed=1)
    assert Verdict.UNDECIDED is report.verdict
    assert "cap" == report.stopped
    assert "the cap on rounds was reached before `schema` could be decided" == (
        report.reason
    )


def test_another_model_than_the_pin_names_is_an_error(make_suite: MakeSuite) -> None:
    """Nothing that another version says is evidence."""
    other = FakeModel(WrongModel("new-2", {"kind": "x"}), name="new-1").pin("triage")
    report = run(make_suite(), other, seed=1)
    assert Verdict.ERROR is report.verdict
    assert "'new-2'" in report.reason


def test_a_wrong_key_ends_the_run_on_its_first_call(make_suite: MakeSuite) -> None:
    """401 does not heal by asking again."""
    report = run(make_suite(), FakeModel(HttpError(401)).pin("triage"), concurrency=1)
    assert Verdict.ERROR is report.verdict
    assert 1 == report.calls


def test_a_dead_server_ends_the_run_early(
    make_suite: MakeSuite, runtime: Runtime
) -> None:
    """Three failures of three at a tolerated 2 % are no accident."""
    runtime.clock = _Hurry()
    report = run(make_suite(), FakeModel(HttpError(503)).pin("triage"), concurrency=1)
    assert Verdict.ERROR is report.verdict
    assert {"transport": 3} == report.infrastructure
    assert report.reason.startswith("3 of 3 calls failed without saying anything")


def test_a_dead_server_under_a_tiny_budget_is_an_error(
    make_suite: MakeSuite, runtime: Runtime
) -> None:
    """One call that failed is no accident where it is the only one."""
    runtime.clock = _Hurry()
    dead = FakeModel(HttpError(503)).pin("triage")
    report = run(make_suite(), dead, concurrency=1, max_calls=1)
    assert Verdict.ERROR is report.verdict
    assert report.reason.startswith("1 of 1 calls (100 %) failed without saying")


def test_a_quota_of_the_day_ends_the_run(
    make_suite: MakeSuite, runtime: Runtime
) -> None:
    """Nobody sits and waits for tomorrow; the report says what the provider said."""
    runtime.clock = clock = _Hurry()
    spent = FakeModel(HttpError(429, retry_after=80_000)).pin("triage")
    report = run(make_suite(), spent, concurrency=1)
    assert Verdict.ERROR is report.verdict
    assert {"throttled": 3} == report.infrastructure
    assert sum(clock.waited) <= 3 * 600


def test_what_a_budget_paid_for_is_judged(make_suite: MakeSuite) -> None:
    """Whichever call ends last, and though the budget is spent by then."""
    asked: list[str] = []
    ended: list[str] = []
    others = asyncio.Event()

    @contract({"type": "object", "required": ["kind"]})
    @pinned(FakeModel({}, name="own-1").pin("triage"))
    async def triage(text: str, *, model: Model = INJECTED) -> Any:
        first = not asked
        asked.append(text)
        if first:
            await others.wait()
        answer = await model.acomplete(text)
        ended.append(text)
        if len(ended) == 3:
            others.set()
        return answer

    cases = [{"id": f"c{n}", "inputs": {"text": f"text {n}"}} for n in range(20)]
    checks = [schema(tolerate=0.02, unacceptable=0.2)]
    suite = Suite("triage", triage, cases=cases, assertions=checks)
    pin = FakeModel({"kind": "x"}, name="new-1").pin("triage")
    report = run(suite, pin, seed=1, concurrency=4, max_calls=4)
    assert (4, 4) == (report.calls, report.assertions[0].n)
    assert (Verdict.UNDECIDED, "budget") == (report.verdict, report.stopped)


class _Hurry:
    """A clock whose waits take no time."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def monotonic(self) -> float:
        return sum(self.waited)

    def time(self) -> float:
        return 1e9 + self.monotonic()

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    async def asleep(self, seconds: float) -> None:
        self.waited.append(seconds)


def test_the_incumbent_must_keep_its_own_contract(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """A contract that the running version breaks gates nothing."""
    bad = FakeModel({"other": 1}, name="own-1").pin("triage")
    report = run(make_suite(), failing(), incumbent=bad, seed=1)
    assert Verdict.ERROR is report.verdict
    assert report.reason.startswith("the incumbent itself fails `schema`")
    assert Status.ERROR is report.assertions[0].status


def test_a_relative_limit_is_made_from_the_incumbent(
    make_suite: MakeSuite,
) -> None:
    """Answers twice as long as the incumbent's are blocked once that is known."""
    long = FakeModel({"kind": "x" * 60}, name="new-1").pin("triage")
    report = run(make_suite(length()), long, seed=1)
    assert Verdict.BLOCK is report.verdict
    assert report.incumbent is not None
    assert "own-1" in report.incumbent.served
    assert report.incumbent.calls == report.candidate.calls


def test_relative_correctness_is_paired(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Both versions are asked the same case in the same round."""
    suite = make_suite(
        schema(name="worse", relative=True, tolerate=0.02, unacceptable=0.3)
    )
    report = run(suite, failing(), seed=1)
    assert Verdict.PROMOTE is report.verdict
    (only,) = report.assertions
    assert report.calls == 2 * only.n
    assert "less than 30 points worse than the incumbent" in only.sentence


def test_a_relative_rate_is_that_of_the_pairs_that_decided(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Calls that other assertions went on with are in neither arm's rate."""
    suite = make_suite(
        schema(name="worse", relative=True, tolerate=0.02, unacceptable=0.3),
        schema(tolerate=0.01, unacceptable=0.05),
    )
    report = run(suite, failing(), seed=1)
    found = {one.name: one for one in report.assertions}
    assert found["worse"].n < found["schema"].n
    assert found["worse"].n == found["worse"].incumbent_n


def test_flipped_cases_come_first(make_suite: MakeSuite, failing: Failing) -> None:
    """The report begins with what the incumbent does and the candidate does not."""
    suite = make_suite(schema(tolerate=0.02, unacceptable=0.2), min_rounds=1)
    report = run(suite, failing("text 3", "text 5"), incumbent=True, seed=1, full=True)
    (only,) = report.assertions
    assert "odd" == only.slices[0].name
    assert 2 == only.slices[0].flipped
    assert {"c03", "c05"} == {one.case for one in only.examples[:2]}
    assert all(one.flipped for one in only.examples)
    assert '{"kind": "refund"}' == only.examples[0].incumbent


def test_an_assertion_that_raises_is_an_error(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """A broken judge never passes for a verdict."""

    def judge(case: Case, sample: Sample) -> bool:
        return bool(case.meta["absent"])

    suite = make_suite(custom("broken", judge, tolerate=0.02, unacceptable=0.2))
    report = run(suite, failing(), seed=1)
    assert Verdict.ERROR is report.verdict
    assert "`broken` raised KeyError('absent')" in report.reason


def test_the_same_seed_gives_the_same_run(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Order and verdict hang on nothing but the seed and the answers."""
    reports = [
        run(make_suite(), failing("text 3", every=2), seed=5, concurrency=limit)
        for limit in (1, 7)
    ]
    first, second = (
        (each.verdict, each.assertions[0].path, each.assertions[0].n)
        for each in reports
    )
    assert first == second
