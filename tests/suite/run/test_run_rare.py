"""What happens seldom: odd journals, odd arguments, what a terminal shows."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from llmguard import Model, config, contract, pinned
from llmguard.cli import cli
from llmguard.cli._suite_progress import Progress
from llmguard.errors import ConfigError
from llmguard.guard import INJECTED, guard_of
from llmguard.pins import Pin, load_lock
from llmguard.suite import Price, Prices, Status, Suite, Verdict, grade, run
from llmguard.suite._arms import pin_of
from llmguard.suite._journal import read_journal
from llmguard.suite._lines import plain_value
from llmguard.suite._runner import Runner
from llmguard.suite._sentences import calibration
from llmguard.suite.expect import custom, latency, length, schema, worst_prompt
from llmguard.testing import FakeModel, HttpError, VirtualClock

MakeSuite = Callable[..., Suite]
Failing = Callable[..., Pin]

pytestmark = pytest.mark.usefixtures("runtime")


# Arguments


def test_a_run_needs_a_candidate_or_a_journal(make_suite: MakeSuite) -> None:
    """The message names both."""
    with pytest.raises(ConfigError, match="a `candidate`, or a journal to `resume`"):
        run(make_suite())


def test_a_comparison_needs_somebody_to_compare_with(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Refusing the incumbent that an assertion needs is no way out."""
    with pytest.raises(ConfigError, match="`length` of suite `triage` compare"):
        run(make_suite(length()), failing(), incumbent=False)


@pytest.mark.parametrize(
    "options", [{"concurrency": 0}, {"max_cost": 1.0}, {"max_cost": -1.0}]
)
def test_a_limit_that_cannot_be_is_refused(
    make_suite: MakeSuite, options: dict[str, Any]
) -> None:
    """Before anything is called."""
    pin = Pin(route="triage", provider="openai", model="gpt-4o-2024-08-06")
    with pytest.raises(ConfigError):
        run(make_suite(), pin, **options)


def test_a_recording_is_not_written_over(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Two runs in one file would be twice the samples."""
    path = tmp_path / "answers.jsonl"
    path.touch()
    with pytest.raises(ConfigError, match="would hold two runs"):
        run(make_suite(), failing(), record=path)


def test_prices_may_be_a_file(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """As on the command line."""
    path = tmp_path / "prices.toml"
    path.write_text('["new-1"]\ncall = 0.25\n')
    report = run(make_suite(), failing(), seed=1, prices=path)
    assert pytest.approx(0.25 * report.calls) == report.cost
    assert report.cost == report.candidate.cost


def test_a_fixed_seed_is_noted(make_suite: MakeSuite) -> None:
    """Where the provider honours it, repeats are no new draws."""
    pin = FakeModel({"kind": "x"}).pin("triage", params={"seed": 12})
    report = run(make_suite(), pin, seed=1)
    assert any("fixes `seed` at 12" in note for note in report.notes)


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the id of a pin in a lock file of its own."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    words = ["pin", "add", "triage", "--provider", "openai"]
    CliRunner().invoke(cli, [*words, "--model", "gpt-4o-2024-08-06"])
    (found,) = load_lock().pins
    yield found
    config.reset()


@pytest.mark.filterwarnings("ignore:model 'gpt-4o:llmguard.errors.LLMGuardWarning")
def test_a_pin_is_named_by_its_id_or_its_route(
    locked: str, triage: Callable[..., Any]
) -> None:
    """Both lead into `models.lock`."""
    guard = guard_of(triage)
    assert locked == pin_of(locked, guard).id == pin_of("triage", guard).id
    with pytest.raises(ConfigError, match="`llmguard pin list`"):
        pin_of("p-0000000000", guard)


def test_another_provider_starts_from_nothing(triage: Callable[..., Any]) -> None:
    """Options of one provider mean nothing to another."""
    pin = pin_of("openai:gpt-4o-2024-08-06", guard_of(triage))
    assert ({}, "triage") == (dict(pin.options), pin.route)


# Journals


@pytest.mark.parametrize("text", ["", "{}\n", '{"suite": 1}\n', "[1]\n", "not json\n"])
def test_what_is_no_journal_is_refused(text: str, tmp_path: Path) -> None:
    """Also a file that is empty, as one is that was killed at once."""
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"no journal|no line of a journal"):
        read_journal(path)


def test_a_call_that_is_there_twice_is_refused(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """It would be counted twice."""
    path = tmp_path / "run.jsonl"
    run(make_suite(), failing(), seed=1, journal=path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines, lines[1]]))
    with pytest.raises(ConfigError, match="twice: two runs wrote to it"):
        read_journal(path)


def test_a_journal_of_another_suite_is_refused(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """None of its cases is known."""
    path = tmp_path / "run.jsonl"
    run(make_suite(), failing(), seed=1, journal=path)
    other = make_suite(cases=[{"id": "x", "inputs": {"text": "x"}}], cap=99)
    with pytest.raises(ConfigError, match="name the suite it was run for"):
        grade(path, suite=other)


def test_a_baseline_goes_on_after_an_interruption(
    make_suite: MakeSuite, failing: Failing, tmp_path: Path
) -> None:
    """Recorded answers that were used stay used."""
    base, path = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    run(make_suite(), failing(name="own-1"), seed=1, journal=base)
    suite = make_suite(
        schema(relative=True, tolerate=0.02, unacceptable=0.3), min_rounds=3
    )

    def watch(runner: Runner) -> None:
        if runner.tally.calls >= 25:
            runner.stop()

    run(suite, failing(), seed=2, baseline=base, journal=path, watch=watch)
    report = run(suite, resume=path)
    recorded = [one for one in read_journal(path).entries if one.recorded]
    assert report.assertions[0].n == len(recorded)
    assert any("stands for it" in note for note in report.notes)


def test_odd_values_are_kept_as_what_can_be_said_of_them() -> None:
    """A journal never fails on an answer."""
    assert {"1": "a"} == plain_value({1: "a"})
    assert [1, 2] == plain_value((1, 2))


# What cannot be judged


def test_a_limit_that_cannot_be_made_is_an_error(make_suite: MakeSuite) -> None:
    """An incumbent that refuses everything has no length."""
    silent = FakeModel(HttpError(400)).pin("triage")
    fine = FakeModel({"kind": "x"}).pin("triage")

    def broken(_: object) -> Any:
        raise ValueError("no samples to speak of")

    suite = make_suite(replace(latency(), prepare=broken))
    report = run(suite, fine, incumbent=fine, seed=1)
    assert Verdict.ERROR is report.verdict
    assert "no samples to speak of" in report.reason
    assert Verdict.ERROR is run(make_suite(length()), fine, incumbent=silent).verdict


def test_a_single_case_that_fails_is_named(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """The mean may allow it; the claim about single cases does not."""
    lenient = schema(tolerate=0.2, unacceptable=0.5)
    suite = make_suite(lenient, worst_prompt(lenient))
    bad = run(suite, failing("text 3"), seed=1)
    assert Verdict.BLOCK is bad.verdict
    assert "some case fails more than the tolerated 5 % of the time" in bad.reason
    worst = bad.assertions[0]
    assert ("c03", "odd") == (worst.suspects[0].case, worst.suspects[0].slice)
    good = run(suite, failing(), seed=1)
    assert Verdict.PROMOTE is good.verdict
    said = {one.name: one.sentence for one in good.assertions}
    assert "no case fails 30 % of the time or more" in said["worst-prompt:schema"]


def test_an_assertion_with_nothing_to_say_is_open(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Nothing judged is not a pass."""
    silent = custom("silent", lambda *_: None, tolerate=0.02, unacceptable=0.5)
    report = run(make_suite(silent, cap=3), failing(), seed=1)
    (only,) = report.assertions
    assert (Verdict.UNDECIDED, Status.OPEN) == (report.verdict, only.status)
    assert ("nothing could be judged", "anything") == (only.sentence, only.not_excluded)
    assert 60 == only.unjudged


def test_an_uncalibrated_detector_is_told() -> None:
    """Its rate compares detectors, not models."""
    each = replace(schema(), detector="refusal-lexicon/1")
    assert calibration(each).startswith("uncalibrated: nobody measured")
    assert "" == calibration(schema())


def test_a_streaming_function_is_run(recording: Callable[..., Path]) -> None:
    """Its chunks are one answer."""
    model = FakeModel({"kind": "x"}, name="new-1")

    @contract({"type": "object"})
    @pinned(model.pin("triage"))
    def streamed(text: str, *, model: Model = INJECTED) -> Iterator[str]:
        yield from model.stream(text)

    cases = [{"id": f"c{n}", "inputs": {"text": str(n)}} for n in range(20)]
    given = [schema(tolerate=0.02, unacceptable=0.2)]
    suite = Suite("streamed", streamed, cases=cases, assertions=given)
    assert Verdict.PROMOTE is run(suite, model.pin("triage"), concurrency=3).verdict


# What a terminal shows


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_redrawn_in_place(
    make_suite: MakeSuite, failing: Failing
) -> None:
    """Rounds, calls, dollars; per assertion both e-values beside their thresholds."""
    stream, prices = Terminal(), Prices(models={"new-1": Price(call=0.001)})
    watch = Progress(stream, clock=VirtualClock())
    suite = make_suite(schema(tolerate=0.02, unacceptable=0.2))
    run(suite, failing("text 3"), seed=1, watch=watch, prices=prices)
    shown = stream.getvalue()
    assert shown.startswith("round 0/50, 0 calls\n  schema  undecided")
    assert "\x1b[2F\x1b[J" in shown
    assert "$0.0" in shown
    assert "of 100 " in shown


def test_lost_and_slowed_calls_are_shown(make_suite: MakeSuite) -> None:
    """So that a person sees why nothing moves."""
    stream = io.StringIO()
    answers = [HttpError(429, retry_after=0), HttpError(400), {"kind": "x"}]
    pin = FakeModel(answers).pin("triage")
    run(make_suite(), pin, seed=1, watch=Progress(stream), concurrency=2)
    last = stream.getvalue().splitlines()[-1]
    assert "1 failed in transport" in last
    assert "slowed to" in last


def test_quiet_shows_nothing(make_suite: MakeSuite, failing: Failing) -> None:
    """Ctrl-C is listened for all the same."""
    stream = io.StringIO()
    run(make_suite(), failing(), seed=1, watch=Progress(stream, quiet=True))
    assert "" == stream.getvalue()


def test_a_run_that_is_cancelled_is_resumable(
    make_suite: MakeSuite, tmp_path: Path
) -> None:
    """A program that gives up keeps what it paid for."""
    from llmguard.suite import arun
    from llmguard.testing import Hang

    model = FakeModel([{"kind": "x"}] * 10 + [Hang()], name="new-1")
    path = tmp_path / "run.jsonl"

    async def main() -> None:
        ten = asyncio.Event()

        def watch(runner: Runner) -> None:
            if runner.tally.calls == 10:
                ten.set()

        pin = model.pin("triage")
        task = asyncio.create_task(
            arun(make_suite(), pin, concurrency=1, journal=path, watch=watch)
        )
        await ten.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert 10 == len(read_journal(path).entries)
    assert read_journal(path).ended is None


def test_a_saved_report_is_shown(project: Path) -> None:
    """`show` reads what `run --json` wrote."""
    words = ["suite", "run", "shop", "--candidate", "replay:bad.jsonl", "--json"]
    done = CliRunner().invoke(cli, [*words, "--no-evidence", "--junit", "out/j.xml"])
    (project / "report.json").write_text(done.stdout)
    assert "<testsuite" in (project / "out" / "j.xml").read_text()
    shown = CliRunner().invoke(cli, ["suite", "show", "report.json"])
    assert "BLOCK" in shown.output
    again = CliRunner().invoke(cli, ["suite", "show", "report.json", "--json"])
    assert json.loads(done.stdout) == json.loads(again.output)


def test_what_the_store_lacks_is_told(project: Path) -> None:
    """The digest may be of another machine."""
    done = CliRunner().invoke(cli, ["suite", "show", "sha256:00"])
    assert 3 == done.exit_code
    assert "holds no evidence" in done.output


def test_no_suites_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to declare some."""
    monkeypatch.chdir(tmp_path)
    config.reset()
    done = CliRunner().invoke(cli, ["suite", "list"])
    config.reset()
    assert 3 == done.exit_code
    assert "suites = [" in done.output
