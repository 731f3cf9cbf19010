"""Drifts and non-drifts that were published, decided from their labels alone.

Every prompt was asked once, so each call is a draw from the traffic it stands for.
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from llmguard.suite import Status
from llmguard.suite.stats import Decider, Rule

_DEFAULT = Path(__file__).parents[4] / "shared" / "data"
DATA = Path(os.environ.get("LLMGUARD_TEST_DATA", _DEFAULT))
pytestmark = pytest.mark.skipif(
    not (DATA / "llmdrift").exists(),
    reason=f"no data at {DATA}; set LLMGUARD_TEST_DATA",
)
ORDERS = 20
TASKS = ("ruin_names", "public_relations", "navigate", "professional_accounting")


def _read(name: str) -> list[Mapping[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _decide(
    rule: Rule, outcomes: Iterable[tuple[bool, bool]], seed: int, **options: float
) -> tuple[Status, int]:
    calls = list(outcomes)
    random.Random(seed).shuffle(calls)
    decider = Decider([rule], cases=len(calls), cap=1, **options)  # type: ignore[arg-type]  # free keywords
    for i, (failed, base) in enumerate(calls):
        decider.feed(rule.name, str(i), failed, base)
        if not decider.open:
            break
    decider.end_round()
    state = decider.state(rule.name)
    return state.status, state.n


def _orders(
    low: float,
    high: float,
    file: str,
    failed: Callable[[Mapping[str, Any]], bool],
    *,
    scope: str = "traffic",
) -> list[tuple[Status, int]]:
    rule = Rule(name="r", tolerate=low, unacceptable=high, scope=scope)  # type: ignore[arg-type]  # a parameter
    outcomes = [(failed(row["labels"]), False) for row in _read(file)]
    return [_decide(rule, outcomes, seed, alpha=0.01 / 6) for seed in range(ORDERS)]


@pytest.mark.parametrize("scope", ["traffic", "suite"])
def test_a_version_that_stopped_answering_opinions(scope: str) -> None:
    """76 % give no opinion: blocked within ten calls in nine of ten orders."""
    found = _orders(
        0.05,
        0.10,
        "llmdrift/opinionqa.outputs.gpt-4-0613",
        lambda labels: not labels["responded"],
        scope=scope,
    )
    assert {Status.BLOCKED} == {status for status, _ in found}
    assert sorted(n for _, n in found)[int(0.9 * ORDERS) - 1] <= 10


def test_its_predecessor_is_accepted() -> None:
    """97.6 % answered: within tolerance, after a few dozen calls."""
    found = _orders(
        0.05,
        0.10,
        "llmdrift/opinionqa.outputs.gpt-4-0314",
        lambda labels: not labels["responded"],
    )
    assert {Status.ACCEPTED} == {status for status, _ in found}
    assert median(n for _, n in found) <= 100


def test_a_better_version_that_dropped_its_fences() -> None:
    """Accuracy rose, fences went from all to none: blocked within ten calls."""
    file = "zeroeval/gsm.outputs.claude-3-5-sonnet-20241022"
    found = _orders(0.005, 0.02, file, lambda labels: not labels["has_fence"])
    assert {Status.BLOCKED} == {status for status, _ in found}
    assert max(n for _, n in found) <= 10


def test_valid_json_throughout_is_accepted_as_soon_as_can_be() -> None:
    """No failure in 1,319 answers: 171 of them are enough, in every order."""
    found = _orders(
        0.005,
        0.02,
        "zeroeval/gsm.outputs.gpt-4o-2024-08-06",
        lambda labels: not labels["json_after_fence_lenient"],
    )
    assert {(Status.ACCEPTED, 171)} == set(found)


def test_a_rate_between_the_two_is_left_open() -> None:
    """A host with 1.2 % invalid answers, between 0.5 % and 2 %, is mostly undecided."""
    found = _orders(
        0.005,
        0.02,
        "zeroeval/gsm.outputs.Meta-Llama-3.1-405B-Instruct_at_hyperbolic",
        lambda labels: not labels["json_after_fence_lenient"],
    )
    assert sum(status is Status.OPEN for status, _ in found) > ORDERS / 2


@pytest.mark.parametrize(("alpha", "most"), [(0.05, 2), (0.01, 0)])
def test_runs_of_one_version_are_not_told_apart(alpha: float, most: int) -> None:
    """Forty pairs of identical runs, 4 to 21 % of whose answers differ."""
    rule = Rule(
        name="r", tolerate=0.0, unacceptable=0.05, relative=True, scope="traffic"
    )
    blocked = 0
    for task in TASKS:
        runs: dict[int, dict[str, bool]] = {}
        for row in _read(f"llm-stability/{task}.outputs.gpt-4o"):
            wrong = not row["labels"]["correct"]
            runs.setdefault(row["sample"], {})[row["prompt_id"]] = wrong
        for one, other in itertools.combinations(sorted(runs), 2):
            pairs = [(runs[one][prompt], runs[other][prompt]) for prompt in runs[one]]
            status, _ = _decide(rule, pairs, seed=one, alpha=alpha)
            blocked += status is Status.BLOCKED
    assert blocked <= most
