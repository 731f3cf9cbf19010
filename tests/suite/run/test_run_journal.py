"""The journal: written call by call, resumed, graded again, recorded, compared with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmguard.adapters import Request
from llmguard.errors import ConfigError
from llmguard.pins import Pin
from llmguard.suite import Case, Report, Sample, Suite, Verdict, grade, run
from llmguard.suite._journal import read_journal
from llmguard.suite._runner import Runner
from llmguard.suite.expect import custom, length, schema
from llmguard.testing import FakeModel

MakeSuite = Callable[..., Suite]
Failing = Callable[..., Pin]

pytestmark = pytest.mark.usefixtures("runtime")


def facts(report: Report) -> tuple[Any, ...]:
    """Return what must not depend on interruptions."""
    return (
        report.verdict,
        report.rounds,
        report.calls,
        report.seed,
        [(a.name, a.n, a.failures, a.status, a.path) for a in report.assertions],
    )


def stop_after(calls: int) -> Callable[[Runner], None]:
    """Return a watcher that interrupts a run as Ctrl-C does."""

    def watch(runner: Runner) -> None:
        if runner.tally.calls >= calls:
            runner.stop()

    return watch


def test_a_journal_holds_the_header_and_every_call(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """One line says what was run, one each what was called, one how it ended."""
    path = tmp_path / "run.jsonl"
    report = run(make_suite(), failing(), seed=3, journal=path)
    read = read_journal(path)
    assert str(path) == report.journal
    assert 3 == read.header["seed"]
    assert make_suite().digest == read.header["suite_digest"]
    assert report.calls == len(read.entries)
    assert list(range(60)) == [one.sample.order for one in read.entries]
    assert read.ended is not None
    assert "PROMOTE" == read.ended["verdict"]


def test_an_interrupted_run_goes_on_where_it_was(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """Nothing is called twice, and the verdict is that of a run left alone."""
    calls: list[str] = []

    def answer(request: Request) -> object:
        calls.append(str(request.inputs["text"]))
        return {"other": 1} if calls[-1] == "text 3" else {"kind": "refund"}

    pin = FakeModel(answer, name="new-1").pin("triage")
    suite = make_suite(schema(tolerate=0.02, unacceptable=0.2))
    alone = run(suite, pin, seed=4, concurrency=3)
    done, path = len(calls), tmp_path / "run.jsonl"
    first = run(suite, pin, seed=4, concurrency=3, journal=path, watch=stop_after(25))
    assert ("interrupted", Verdict.UNDECIDED) == (first.stopped, first.verdict)
    second = run(suite, resume=path)
    assert facts(alone) == facts(second)
    assert done == len(calls) - done
    assert ["round", "end", "resumed"] == [
        one["event"] for one in read_journal(path).events
    ][:3]


def test_a_torn_line_is_dropped_and_called_again(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """A kill in the middle of a write costs one call."""
    path = tmp_path / "run.jsonl"
    whole = run(make_suite(), failing(), seed=4, journal=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:31]) + lines[31][:40])
    assert 30 == len(read_journal(path).entries) + len(read_journal(path).events)
    again = run(make_suite(), resume=path)
    assert facts(whole) == facts(again)
    assert 60 == len(read_journal(path).entries)


def test_damage_elsewhere_is_refused(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Only the last line can be cut by a crash."""
    path = tmp_path / "run.jsonl"
    run(make_suite(), failing(), seed=4, journal=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[5][:40] + b"\n", *lines[6:]]))
    with pytest.raises(ConfigError, match="line 6: no line of a journal"):
        read_journal(path)


def test_a_changed_suite_cannot_go_on(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """What was called under other rates is judged again, not gone on with."""
    path = tmp_path / "run.jsonl"
    run(make_suite(), failing(), seed=4, journal=path, watch=stop_after(25))
    other = make_suite(schema(tolerate=0.03, unacceptable=0.2))
    with pytest.raises(ConfigError, match="llmguard suite grade"):
        run(other, resume=path)


def test_an_existing_journal_is_not_overwritten(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Calls that were paid for are not thrown away by a repeated command."""
    path = tmp_path / "run.jsonl"
    run(make_suite(), failing(), seed=4, journal=path)
    with pytest.raises(ConfigError, match="--resume"):
        run(make_suite(), failing(), seed=4, journal=path)


def test_grading_calls_nobody_and_agrees(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """The journal alone gives the same report."""
    path = tmp_path / "run.jsonl"
    pin = failing("text 3", "text 5", every=2)
    suite = make_suite(schema(tolerate=0.02, unacceptable=0.2))
    report = run(suite, pin, seed=4, incumbent=True, journal=path)
    again = grade(path, suite=suite)
    assert facts(report) == facts(again)
    assert report.assertions == again.assertions
    assert (report.candidate, report.incumbent) == (again.candidate, again.incumbent)
    assert report.reason == again.reason


def test_a_journal_is_graded_with_other_rates(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Rates are argued with after the calls were paid for."""
    path = tmp_path / "run.jsonl"
    pin = failing("text 3")
    strict = make_suite(schema(tolerate=0.02, unacceptable=0.2), cap=5)
    run(strict, pin, seed=4, journal=path, full=True)
    lenient = make_suite(schema(tolerate=0.1, unacceptable=0.4))
    report = grade(path, suite=lenient)
    assert Verdict.PROMOTE is report.verdict
    assert any("judged anew with a suite that differs" in n for n in report.notes)


def test_a_recording_of_a_run_replays_as_a_version(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """What was recorded answers again, by the ids of the cases."""
    path = tmp_path / "answers.jsonl.gz"
    suite = make_suite(schema(tolerate=0.02, unacceptable=0.2))
    live = run(suite, failing("text 3"), seed=4, record=path, full=True)
    replayed = run(suite, f"replay:{path}", seed=4, full=True)
    assert facts(live) == facts(replayed)


def test_a_recording_is_evidence_once(
    make_suite: MakeSuite, recording: Callable[..., Path]
) -> None:
    """A run on a recording ends with it; read again it would be the same draw."""
    path = recording(
        "one.jsonl", {f"c{n:02}": [{"kind": "refund"}] * 2 for n in range(20)}
    )
    report = run(make_suite(), f"replay:{path}", seed=1)
    assert Verdict.UNDECIDED is report.verdict
    assert ("recording", 40) == (report.stopped, report.calls)
    assert report.reason.startswith("the recording holds no more answers")


def test_one_recording_cannot_be_both_versions(
    make_suite: MakeSuite, recording: Callable[..., Path]
) -> None:
    """Each would get every other answer of the same model."""
    path = recording("one.jsonl", {"c00": [{"kind": "refund"}]})
    with pytest.raises(ConfigError, match="answer for both versions"):
        run(make_suite(), f"replay:{path}", incumbent=f"replay:{path}")


def test_a_baseline_stands_in_for_the_incumbent(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """The record of an earlier run is compared with, and copied into the journal."""
    old = FakeModel({"kind": "refund"}, name="own-1")
    base, path = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    run(make_suite(), old.pin("triage"), seed=1, journal=base)
    called = len(old.calls)
    suite = make_suite(
        length(), schema(name="paired", relative=True, tolerate=0.02, unacceptable=0.3)
    )
    long = FakeModel({"kind": "x" * 60}, name="new-1").pin("triage")
    report = run(suite, long, seed=2, baseline=base, journal=path)
    assert called == len(old.calls)
    assert Verdict.BLOCK is report.verdict
    assert report.incumbent is not None
    assert report.incumbent.recorded
    assert report.calls < len(read_journal(path).entries)
    assert facts(report) == facts(grade(path, suite=suite))


def test_two_runs_cannot_write_one_journal(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """The second one is told so before it calls anything."""
    path = tmp_path / "run.jsonl"
    pin = failing()
    errors: list[str] = []

    def watch(runner: Runner) -> None:
        if not errors:
            try:
                read = read_journal(path)
                from llmguard.suite._journal import JournalWriter

                JournalWriter.resume(read, at=0.0)
            except ConfigError as error:
                errors.append(str(error))

    run(make_suite(), pin, seed=1, journal=path, watch=watch)
    assert "another run is writing" in errors[0]


def test_answers_of_every_kind_survive_the_journal(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """What is read back is what was sampled."""
    from llmguard.testing import Empty, Refusal, ToolUse, Truncated

    said = [Refusal("I cannot"), Empty(), Truncated("{"), ToolUse("f"), "é", {"a": 1}]
    pin = FakeModel([*said, {"kind": "é"}], name="new-1").pin("triage")
    path = tmp_path / "run.jsonl"
    kept: list[Any] = []

    def watch(runner: Runner) -> None:
        kept[:] = [pair.candidate for pair in runner.tally.pairs]

    suite = make_suite(schema(tolerate=0.5, unacceptable=0.9))
    run(suite, pin, seed=1, concurrency=1, journal=path, watch=watch)
    assert kept == list(read_journal(path).entries)
    assert {"refusal", "empty", "truncated", "ok"} <= {
        str(entry.sample.kind) for entry in kept
    }


def test_arun_runs_in_a_loop(make_suite: MakeSuite, failing: Failing) -> None:
    """Inside a program that has a loop there is a coroutine."""
    from llmguard.suite import arun

    report = asyncio.run(arun(make_suite(), failing(), seed=1))
    assert Verdict.PROMOTE is report.verdict


def test_a_newer_journal_is_refused(tmp_path: Path) -> None:
    """A journal of a later format is not guessed at."""
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps({"llmguard_journal": 2}) + "\n")
    with pytest.raises(ConfigError, match="format 2"):
        read_journal(path)


def test_a_judge_that_asks_a_model_is_asked_once(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """What it said is in the journal, so grading again and resuming ask nobody."""
    asked: list[str] = []

    def judge(case: Case, sample: Sample) -> bool:
        asked.append(case.id)
        return sample.has_value

    slow = custom("graded", judge, tolerate=0.02, unacceptable=0.2)
    suite = make_suite(replace(slow, waits=True))
    path = tmp_path / "run.jsonl"
    report = run(suite, failing("text 3"), seed=4, journal=path, full=True)
    assert report.calls == len(asked)
    assert facts(report) == facts(grade(path, suite=suite))
    assert report.calls == len(asked)


def test_a_judge_that_asks_a_model_and_breaks_ends_the_run_with_a_report(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """As one that asks nobody does: ERROR, and the journal has what was paid for."""

    def judge(case: Case, sample: Sample) -> bool:
        assert sample.has_value
        if case.id == "c03":
            raise OSError("no space left")
        return True

    slow = custom("graded", judge, tolerate=0.02, unacceptable=0.2)
    path = tmp_path / "run.jsonl"
    report = run(make_suite(replace(slow, waits=True)), failing(), seed=4, journal=path)
    assert Verdict.ERROR is report.verdict
    assert "assertion `graded` raised OSError('no space left')" in report.reason
    assert "'c03'" in report.reason
    ended = read_journal(path).ended
    assert ended is not None
    assert "error" == ended["stopped"]
