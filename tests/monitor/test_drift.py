"""Baselines, thresholds and followers, on made-up versions with a known change."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmguard.errors import ConfigError
from llmguard.monitor.drift import (
    FAMILIES,
    Baseline,
    Calibration,
    Extractor,
    Follower,
    Row,
    Rows,
    freeze,
)
from llmguard.monitor.drift._apart import freeze_apart
from llmguard.monitor.drift._calibrate import block_of, stationary

EXTRACTOR = Extractor()
WORDS = [
    "the",
    "order",
    "was",
    "sent",
    "today",
    "and",
    "it",
    "will",
    "arrive",
    "on",
    "monday",
    "by",
    "post",
    "thanks",
]
QUICK = Calibration(block=1, replicates=30, outputs=2_000)


def _text(rng: random.Random, *, fence: float = 0.0, longer: float = 1.0) -> str:
    n = int(rng.choice((8, 12, 20, 35)) * longer)
    text = " ".join(rng.choice(WORDS) for _ in range(n)).capitalize() + "."
    return f"```\n{text}\n```" if rng.random() < fence else text


def _rows(n: int, seed: int, **how: float) -> list[Row]:
    rng = random.Random(seed)
    return [
        EXTRACTOR.read(_text(rng, **how), prompt=rng.choice(WORDS)) for _ in range(n)
    ]


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return freeze(_rows(400, 1), EXTRACTOR, function="f", pin="p", calibration=QUICK)


def test_the_same_version_raises_no_alarm(baseline: Baseline) -> None:
    """Fresh outputs, not those that the baseline was made of."""
    follower = Follower(baseline)
    assert [] == [alarm for row in _rows(2_000, 2) for alarm in follower.see(row)]
    assert set(FAMILIES) < set(follower.status())
    assert all(follower.status()[name] < 1 for name in FAMILIES)


def test_a_new_habit_is_named_within_a_few_outputs(baseline: Baseline) -> None:
    """Code fences around half of the answers; the alarm says so, and since when."""
    follower = Follower(baseline)
    for row in _rows(100, 3):
        assert [] == follower.see(row)
    alarms = [alarm for row in _rows(100, 4, fence=0.5) for alarm in follower.see(row)]
    first = alarms[0]
    assert first.family in {"style", "patterns", "wording"}
    assert 100 < first.output < 140
    assert 95 < first.began <= first.output
    assert "code fence" in {shift.name for shift in first.shifts}
    assert "code fence 0 ->" in str(first)
    assert not first.confounded
    # Each family once, until somebody says that watching starts anew.
    assert len({alarm.family for alarm in alarms}) == len(alarms)
    follower.restart()
    assert {} == follower.alarmed


def test_longer_answers_are_seen_by_their_length(baseline: Baseline) -> None:
    """A quarter longer, nothing else."""
    follower = Follower(baseline)
    alarms = [a for row in _rows(600, 5, longer=1.25) for a in follower.see(row)]
    assert "length" in {alarm.family for alarm in alarms}


def test_more_processes_raise_the_thresholds(baseline: Baseline) -> None:
    """Their false alarms add up, so each has to be surer."""
    one, many = Follower(baseline), Follower(baseline, processes=8)
    for row in _rows(30, 6, fence=1.0):
        one.see(row)
        many.see(row)
    assert one.status()["style"] > many.status()["style"]
    assert one.status()["length"] == many.status()["length"]


def test_a_baseline_survives_the_store(baseline: Baseline) -> None:
    """The same alarms at the same outputs, from a document without any text."""
    text = baseline.to_json()
    back = Baseline.from_json(text)
    assert baseline.digest == back.digest
    one, two = Follower(baseline), Follower(back)
    for row in _rows(60, 7, fence=0.5):
        assert [a.family for a in one.see(row)] == [a.family for a in two.see(row)]
    assert "monday" not in text


def test_the_same_rows_give_the_same_thresholds(baseline: Baseline) -> None:
    """The seed is part of the document."""
    again = freeze(_rows(400, 1), EXTRACTOR, function="f", pin="p", calibration=QUICK)
    assert baseline.thresholds == again.thresholds


def test_fewer_false_alarms_cost_higher_thresholds(baseline: Baseline) -> None:
    """A tenth of the alarms."""
    how = replace(QUICK, per_10k=0.1, replicates=60)
    strict = freeze(_rows(400, 1), EXTRACTOR, function="f", pin="p", calibration=how)
    assert strict.thresholds["length"] > baseline.thresholds["length"]


def test_too_few_outputs_are_no_baseline() -> None:
    """The message says how many it takes."""
    with pytest.raises(ConfigError, match="200 at least"):
        freeze(_rows(199, 1), EXTRACTOR, function="f", pin="p")


@pytest.mark.parametrize("text", ["{}", "[]", "x", '{"format": 1}'])
def test_what_is_no_baseline_is_refused(text: str) -> None:
    """With the command that makes one."""
    with pytest.raises(ConfigError, match="llmguard monitor baseline"):
        Baseline.from_json(text)


def test_a_later_format_is_refused(baseline: Baseline) -> None:
    """Rather than misread."""
    document = json.loads(baseline.to_json()) | {"format": 9}
    with pytest.raises(ConfigError, match=r"^the baseline has format 9, "):
        Baseline.from_json(json.dumps(document))


def test_a_follower_takes_constant_memory(baseline: Baseline) -> None:
    """A million outputs later it holds what it held after ten."""
    follower = Follower(baseline)

    def size() -> int:
        arrays = [vars(follower).values()]
        trackers = follower._trackers.values()
        slots = [getattr(t, name) for t in trackers for name in type(t).__slots__]
        return sum(getattr(each, "nbytes", 0) for each in [*slots, *arrays[0]])

    rows = _rows(50, 12)
    for row in rows[:10]:
        follower.see(row)
    before = size()
    for row in rows * 5:
        follower.see(row)
    assert before == size()


def test_blocks_keep_neighbours_together() -> None:
    """And every row is as likely as every other."""
    rng = np.random.default_rng(1)
    order = stationary(rng, 100, (200, 500), 20)
    follows = (order[:, 1:] - order[:, :-1]) % 100 == 1
    assert 0.94 < follows.mean() < 0.97
    assert np.bincount(order.ravel(), minlength=100).min() > 600
    loose = stationary(rng, 100, (200, 500), 1)
    assert ((loose[:, 1:] - loose[:, :-1]) % 100 == 1).mean() < 0.02


def test_the_block_is_as_long_as_topics_last() -> None:
    """Shuffled prompts need short blocks; runs of topics need long ones."""
    rng = random.Random(5)
    runs = [
        EXTRACTOR.read(_text(rng), prompt=" ".join([word] * 9))
        for word in WORDS * 2
        for _ in range(20)
    ]
    assert 20 < block_of(Rows.of(runs)) <= 50
    rng.shuffle(runs)
    assert 5 <= block_of(Rows.of(runs)) < 12
    still = [EXTRACTOR.read("Same.") for _ in range(200)]
    assert 5 == block_of(Rows.of(still))


def test_a_version_that_never_varies_can_still_be_watched() -> None:
    """Constant answers; one odd one is no drift, twenty are."""
    still = [EXTRACTOR.read("Yes.") for _ in range(200)]
    made = freeze(still, EXTRACTOR, function="f", pin="p", calibration=QUICK)
    follower = Follower(made)
    for _ in range(100):
        assert [] == follower.see(EXTRACTOR.read("Yes."))
    assert [] == follower.see(EXTRACTOR.read("Yes!"))
    alarms = [a for _ in range(20) for a in follower.see(EXTRACTOR.read("- no"))]
    assert alarms


def test_a_baseline_frozen_apart_is_the_same(baseline: Baseline) -> None:
    """Another process, the same document; an interpreter without one, likewise."""
    rows = [Row.from_json(row.to_json()) for row in _rows(400, 1)]
    about: dict[str, Any] = {
        "function": "f",
        "pin": "p",
        "since": 0.0,
        "until": 0.0,
        "calibration": QUICK,
    }
    breaths: list[int] = []
    apart = freeze_apart(rows, EXTRACTOR, **about, breathe=lambda: breaths.append(1))
    assert [] == breaths
    here = freeze(rows, EXTRACTOR, **about)
    assert here.digest == apart.digest
    assert baseline.marks == apart.marks


def test_without_an_interpreter_to_start_it_is_frozen_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Embedded interpreters have none; then in slices, for the others' sake."""
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    breaths: list[int] = []
    made = freeze_apart(
        _rows(200, 1),
        EXTRACTOR,
        function="f",
        pin="p",
        since=0.0,
        until=0.0,
        calibration=replace(QUICK, replicates=5, outputs=200),
        breathe=lambda: breaths.append(1),
    )
    assert 200 == made.outputs
    assert len(breaths) > 50
