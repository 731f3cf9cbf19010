"""On recorded answers of real versions: soon when they changed, silent when not.

Tolerances are wider than the figures in docs/monitoring.md, which the benchmark
measures with more streams.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmguard.monitor.drift import (
    FAMILIES,
    Baseline,
    Calibration,
    Extractor,
    Follower,
    Row,
    Rows,
    first_alarms,
    freeze,
    infer_fields,
)
from llmguard.monitor.drift._calibrate import stationary

DATA = Path(os.environ.get("LLMGUARD_TEST_DATA", "../shared/data"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded outputs at {DATA}"),
]
EXTRACTOR = Extractor()
STREAMS = 24
QUIET = 1 - math.exp(-0.25)
"""Share of healthy streams of 10,000 outputs that one family may alarm in."""


def _lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


@cache
def _alpaca(model: str, *, prompts: bool = False) -> tuple[Row, ...]:
    """Return one version's answers in a random order: the file is sorted by source."""
    asked = {
        line["prompt_id"]: line["prompt"]
        for line in _lines("alpaca-eval/prompts.jsonl.gz")
    }
    rows = [
        EXTRACTOR.read(
            line["output"], prompt=asked[line["prompt_id"]] if prompts else None
        )
        for line in _lines(f"alpaca-eval/outputs.{model}.jsonl.gz")
    ]
    order = np.random.default_rng(len(model)).permutation(len(rows))
    return tuple(rows[i] for i in order)


@cache
def _baseline(*, prompts: bool, block: float) -> Baseline:
    return freeze(
        _alpaca("gpt-4-0314", prompts=prompts),
        EXTRACTOR,
        function="f",
        pin="gpt-4-0314",
        calibration=Calibration(block=block),
    )


def _first(
    baseline: Baseline, family: str, rows: Sequence[Row], long: int
) -> np.ndarray[Any, Any]:
    """Return the first alarm in each of 24 resampled streams; `long + 1` for none."""
    block = baseline.calibration.block or 1.0
    rng = np.random.default_rng(3)
    order = stationary(rng, len(rows), (STREAMS, long), block)
    return first_alarms(baseline, Rows.of(rows), order)[0][family]


@pytest.mark.parametrize("prompts", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_another_run_of_the_same_version_is_silent(family: str, prompts: bool) -> None:
    """Within the promise: more would have a chance of 1 % if it were kept."""
    made = _baseline(prompts=prompts, block=5)
    same = _alpaca("gpt-4-alias-mid2023", prompts=prompts)
    alarmed = int((_first(made, family, same, 10_000) <= 10_000).sum())
    tail = sum(
        math.comb(STREAMS, k) * QUIET**k * (1 - QUIET) ** (STREAMS - k)
        for k in range(alarmed, STREAMS + 1)
    )
    assert tail > 0.01, f"{alarmed} of {STREAMS} healthy streams alarmed"


@pytest.mark.parametrize(
    ("family", "model", "median"),
    [
        ("style", "gpt-4-0613", 120),
        ("style", "gpt-4-1106-preview", 23),
        ("wording", "gpt-4-0613", 210),
        ("wording", "gpt-4-1106-preview", 40),
        ("patterns", "gpt-4-0613", 217),
        ("patterns", "gpt-4-1106-preview", 35),
        ("length", "gpt-4-0613", 402),
        ("length", "gpt-4-1106-preview", 140),
        ("length", "gpt-4-0613_concise-prompt", 120),
    ],
)
def test_a_new_version_is_seen_in_time(family: str, model: str, median: float) -> None:
    """Outputs until the alarm, at the threshold that keeps the promise."""
    first = _first(_baseline(prompts=False, block=1), family, _alpaca(model), 3_000)
    assert np.median(first) <= median


def test_an_answer_that_flips_is_seen_at_once() -> None:
    """gpt-4 on primes: from a chain of thought to a bare "[No]" within a quarter."""
    old, new = (
        [
            EXTRACTOR.read(line["output"])
            for line in _lines(f"llmdrift/prime.outputs.{m}.jsonl.gz")
        ]
        for m in ("gpt-4-0314", "gpt-4-0613")
    )
    rng = np.random.default_rng(2)
    base = [old[i] for i in rng.permutation(len(old))[:400]]
    made = freeze(base, EXTRACTOR, function="f", pin="p")
    follower = Follower(made)
    alarms = [a for i in rng.permutation(len(new))[:40] for a in follower.see(new[i])]
    assert alarms
    assert alarms[0].output <= 10


@pytest.mark.parametrize(
    ("model", "runs"),
    [
        ("gpt-4-0125-preview-FC", ("2024-07-06", "2024-08-11")),
        ("gpt-4-1106-preview-FC", ("2024-07-06", "2024-08-11")),
        ("gpt-4o-2024-05-13-FC", ("2024-07-06", "2024-08-11")),
    ],
)
def test_tool_calls_a_month_apart_are_the_same_version(
    model: str, runs: tuple[str, str]
) -> None:
    """Structured answers: the fields are inferred; real re-runs raise no alarm."""
    one, two = (
        _lines(f"bfcl-function-calls/outputs.{model}.run-{run}.jsonl.gz")
        for run in runs
    )
    order = np.random.default_rng(4).permutation(len(one))

    def value(line: dict[str, Any]) -> object:
        return {"kind": line["kind"], "calls": line["calls"], "text": line["text"]}

    extractor = Extractor(fields=infer_fields(value(line) for line in one))
    base, same = (
        [extractor.read(json.dumps(value(lines[i])), value(lines[i])) for i in order]
        for lines in (one, two)
    )
    made = freeze(base, extractor, function="f", pin="p")
    follower = Follower(made)
    assert [] == [alarm for row in same for alarm in follower.see(row)]
