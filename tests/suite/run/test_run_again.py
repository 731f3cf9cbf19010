"""However a run is cut and gone on with, it is the run that was left alone."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard.suite import Report, Suite, grade, run
from llmguard.suite._journal import read_journal
from llmguard.suite._runner import Runner
from llmguard.suite.expect import length, schema, worst_prompt
from llmguard.testing import isolated

ROUNDS = 6


def facts(report: Report) -> list[Any]:
    """Return everything but times and notes."""
    return [
        (report.verdict, report.reason, report.rounds, report.calls, report.stopped),
        report.deterministic,
        report.assertions,
        (report.candidate, report.incumbent),
    ]


def record(path: Path, rng: random.Random, rate: float) -> str:
    """Write a version that fails at a rate of its own per case."""
    lines: list[str] = []
    for number in range(20):
        own = rate * rng.choice([0.0, 0.5, 3.0])
        for turn in range(ROUNDS):
            bad = rng.random() < own
            said = {"other": 1} if bad else {"kind": "x" * rng.randrange(1, 9)}
            row = {"prompt_id": f"c{number:02}", "sample": turn}
            lines.append(json.dumps({**row, "output": json.dumps(said)}))
    path.write_text("\n".join(lines))
    return f"replay:{path}"


def stop_at(calls: int) -> Callable[[Runner], None]:
    """Return a watcher that interrupts a run."""

    def watch(runner: Runner) -> None:
        if runner.tally.calls >= calls:
            runner.stop()

    return watch


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    paired=st.booleans(),
    full=st.booleans(),
    stops=st.lists(st.integers(1, 200), max_size=3),
    limits=st.lists(st.integers(1, 9), min_size=5, max_size=5),
)
def test_a_run_that_was_cut_is_the_run_left_alone(
    make_suite: Callable[..., Suite], **drawn: Any
) -> None:
    """Any cuts, any concurrency; and its journal alone says the same once more."""
    rng = random.Random(drawn["seed"])
    given_ = [schema(tolerate=0.05, unacceptable=0.2), worst_prompt(unacceptable=0.5)]
    if drawn["paired"]:
        given_ += [
            length(),
            schema(name="paired", relative=True, tolerate=0.05, unacceptable=0.3),
        ]
    with tempfile.TemporaryDirectory() as folder, isolated():
        where = Path(folder)
        suite = make_suite(*given_, cap=8, n_min=4)
        new = record(where / "new.jsonl", rng, drawn["rate"])
        options: dict[str, Any] = {"seed": drawn["seed"], "full": drawn["full"]}
        if drawn["paired"]:
            options["incumbent"] = record(where / "old.jsonl", rng, 0.01)
        limits = iter(drawn["limits"])
        alone = run(suite, new, **options, concurrency=next(limits))
        path = where / "run.jsonl"
        stops = [*sorted(drawn["stops"]), 10**6]
        first = {**options, "journal": path, "watch": stop_at(stops[0])}
        cut = run(suite, new, **first, concurrency=next(limits))
        for stop in stops[1:]:
            before = len(read_journal(path).entries)
            limit = next(limits)
            cut = run(suite, resume=path, watch=stop_at(stop), concurrency=limit)
            assert before <= len(read_journal(path).entries)
        assert facts(alone) == facts(cut)
        assert facts(alone) == facts(grade(path, suite=suite))
