"""Counting: exact, per version, bounded, and moved on exactly once."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.outcome import Attempt, Kind, Outcome, Usage
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.objectives import Objective, Sli, declare
from llmguard.telemetry.tally import OTHER, Count, Tally, rows

Make = Callable[..., Outcome]


def _numbers(tally: Tally, measure: str) -> dict[tuple[str, str], int]:
    found = rows(tally.snapshot())
    return {(c.pin, c.label): n for c, n in found.items() if c.measure == measure}


def test_first_attempts_are_apart_from_retries(
    outcome: Make, attempt: Callable[..., Attempt]
) -> None:
    """A re-ask that cures the answer does not hide that the first one broke."""
    tally = Tally()
    again = attempt(Kind.OK, number=2, reask=True)
    tally(outcome(Kind.SCHEMA, again))
    assert _numbers(tally, "first") == {("p-1", "schema"): 1}
    assert _numbers(tally, "attempt") == {("p-1", "schema"): 1, ("p-1", "ok"): 1}
    assert _numbers(tally, "call") == {("p-1", "ok"): 1}
    assert _numbers(tally, "answer") == {("p-1", ""): 1}


def test_a_degraded_call_belongs_to_the_version_that_failed(
    outcome: Make, attempt: Callable[..., Attempt]
) -> None:
    """The answer counts for the fallback, the call for what it asked first."""
    tally = Tally()
    local = attempt(Kind.OK, tier="local", tier_index=1, pin="p-local")
    tally(outcome(Kind.REFUSAL, local))
    assert _numbers(tally, "call") == {("p-1", "degraded"): 1}
    assert _numbers(tally, "answer") == {("p-local", ""): 1}
    assert _numbers(tally, "first") == {("p-1", "refusal"): 1, ("p-local", "ok"): 1}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"kind": Kind.CANCELLED}, "cancelled"),
        ({"kind": Kind.BAD_REQUEST}, "bad_request"),
        ({"kind": Kind.TIMEOUT}, "timeout"),
    ],
)
def test_calls_without_an_answer(
    outcome: Make, fields: dict[str, Any], word: str
) -> None:
    """They count under how they ended."""
    tally = Tally()
    tally(outcome(Kind.TIMEOUT, **fields))
    assert _numbers(tally, "call") == {("p-1", word): 1}
    assert _numbers(tally, "answer") == {}


def test_a_deferred_call(outcome: Make, attempt: Callable[..., Attempt]) -> None:
    """A person will answer: neither a failure nor an answer of a version."""
    tally = Tally()
    ticket = attempt(Kind.SKIPPED, tier="human", tier_index=1, pin="", ticket_id="t")
    tally(outcome(Kind.TIMEOUT, ticket))
    assert _numbers(tally, "call") == {("p-1", "deferred"): 1}


def test_a_call_without_attempts(outcome: Make) -> None:
    """A call cancelled before its first try has no version."""
    tally = Tally()
    tally(outcome(kind=Kind.CANCELLED))
    assert _numbers(tally, "call") == {("", "cancelled"): 1}


def test_tokens_and_time(outcome: Make, attempt: Callable[..., Attempt]) -> None:
    """Tokens are summed; unknown ones are none."""
    tally = Tally()
    tally(outcome(attempt(Kind.OK, usage=Usage(input_tokens=10, output_tokens=3))))
    tally(outcome(attempt(Kind.OK, usage=Usage(input_tokens=5))))
    assert _numbers(tally, "tokens") == {("p-1", "input"): 15, ("p-1", "output"): 3}
    assert _numbers(tally, "micros") == {("p-1", ""): 1_000_000}


def test_latency_against_a_declared_threshold(outcome: Make) -> None:
    """A threshold is an edge of the histogram, so that it is exact; it is inclusive."""
    objective = Objective(sli=Sli.FAST, target=0.9, threshold=0.77)
    declare("slo.fast", [objective])
    tally = Tally()
    for seconds in (0.1, 0.77, 0.7701, 99.0):
        tally(outcome(Kind.OK, function="slo.fast", elapsed=seconds))
    tally(outcome(Kind.TIMEOUT, function="slo.fast", elapsed=0.1))
    assert _numbers(tally, "within") == {("p-1", "0.77"): 2}
    assert _numbers(tally, "bucket") == {
        ("p-1", "0.16"): 1,
        ("p-1", "0.77"): 1,
        ("p-1", "1.28"): 1,
        ("p-1", "inf"): 1,
    }


def test_signals_that_come_later() -> None:
    """Corrections count for the version that had answered."""
    tally = Tally()
    tally.signal("app.triage", "p-1", "corrected")
    tally.signal("app.triage", "p-1", "corrected", 2)
    assert _numbers(tally, "signal") == {("p-1", "corrected"): 3}


def test_labels_without_bound_end_up_in_one(
    outcome: Make, attempt: Callable[..., Attempt]
) -> None:
    """Nothing is lost from the sums, and memory stays bounded."""
    tally = Tally(limit=3)
    for n in range(10):
        tally(outcome(attempt(Kind.OK, pin=f"p-{n}")))
        tally.signal("app.triage", f"p-{n}", "corrected")
    for measure in ("first", "call", "signal"):
        found = _numbers(tally, measure)
        assert sum(found.values()) == 10
        assert {pin for pin, _ in found} == {"p-0", "p-1", "p-2", OTHER}


def test_threads_lose_nothing(outcome: Make) -> None:
    """Eight threads count exactly."""
    tally, one = Tally(), outcome(Kind.OK)
    threads = [
        threading.Thread(target=lambda: [tally(one) for _ in range(2_000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _numbers(tally, "first") == {("p-1", "ok"): 16_000}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["lost", "unknown", "stored", "none"])
        ),
        max_size=40,
    )
)
def test_growth_is_told_exactly_once(steps: list[tuple[int, str]]) -> None:
    """Whatever becomes of the writes, what is stored is what was counted."""
    tally = Tally()
    growth = Growth(tally)
    stored: Counter[Count] = Counter()
    last = 0

    def write(fate: str) -> None:
        nonlocal last
        batch = growth.batch(1.0)
        if batch is None:
            return
        if fate in {"unknown", "stored"} and batch.number > last:
            stored.update(dict(batch.rows))
            last = batch.number
        if fate == "stored":
            growth.done()

    for n, fate in steps:
        tally.signal("f", "p", "corrected", n) if n else None
        if fate != "none":
            write(fate)
    write("stored")
    write("stored")
    assert stored == rows(tally.snapshot())
    assert growth.batch(2.0) is None
    growth.done()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_counts_for_itself() -> None:
    """Its tally is renewed; a new source tells its batches from its parent's."""
    tally = Tally()
    growth = Growth(tally)
    tally.signal("f", "p", "corrected")
    before = growth.batch(1.0)
    tally.renew()
    growth.renew()
    assert growth.batch(1.0) is None
    tally.signal("f", "p", "corrected")
    after = growth.batch(1.0)
    assert before is not None
    assert after is not None
    assert before.source != after.source
