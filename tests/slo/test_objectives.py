"""What an objective may say, and what it counts."""

from __future__ import annotations

from typing import Any

import pytest

from llmguard.errors import ConfigError
from llmguard.outcome import Kind
from llmguard.telemetry.objectives import (
    DAY,
    Objective,
    Sli,
    count,
    declare,
    declared,
    thresholds,
)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"target": 1.0}, "error budget"),
        ({"target": 0.0}, "target"),
        ({"target": 99.5}, "0.995"),
        ({"window": 30.0}, "seconds"),
        ({"threshold": 2.0}, "threshold"),
        ({"sli": "fast"}, "threshold"),
        ({"sli": "fast", "threshold": -1.0}, "above 0"),
        ({"name": "Schema Valid"}, "lower-case"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], word: str) -> None:
    """The message says what to write instead."""
    with pytest.raises(ConfigError, match=word):
        Objective(**{"sli": "schema_valid", "target": 0.995, **fields})


def test_an_indicator_that_is_none() -> None:
    """A typing error is an error."""
    with pytest.raises(ValueError, match="schema_vald"):
        Objective(sli="schema_vald", target=0.9)  # type: ignore[arg-type]  # wrong on purpose


def test_it_says_itself() -> None:
    """In words, and as a document that makes it again."""
    one = Objective(sli=Sli.FAST, target=0.95, threshold=2.5, owner="ml")
    assert one.name == "within_2_5s"
    assert one.sentence() == (
        "95 % of answered calls are fast enough (within 2.5 s), over 30 days"
    )
    assert Objective(**one.document()) == one
    assert one.budget == pytest.approx(0.05)


def _count(sli: str, measure: str, label: str) -> tuple[int, int]:
    threshold = 0.5 if sli == "fast" else None
    objective = Objective(sli=Sli(sli), target=0.9, threshold=threshold)
    return count(objective, ("p-1", measure, label))


BAD_FIRST = {
    "schema_valid": {"bad_json", "schema", "truncated", "empty"},
    "not_refused": {"refusal", "filtered"},
    "contract_valid": {
        "bad_json",
        "schema",
        "truncated",
        "empty",
        "refusal",
        "filtered",
        "semantic",
    },
}


@pytest.mark.parametrize("sli", BAD_FIRST)
@pytest.mark.parametrize("kind", Kind)
def test_first_attempts(sli: str, kind: Kind) -> None:
    """Only what the contract judged counts: an outage is not a broken schema."""
    judged = {"ok", "low_confidence"} | BAD_FIRST["contract_valid"]
    total = int(kind in judged)
    assert _count(sli, "first", str(kind)) == (
        int(total and kind not in BAD_FIRST[sli]),
        total,
    )
    assert _count(sli, "attempt", str(kind)) == (0, 0)


@pytest.mark.parametrize(
    ("word", "answered", "first_tier"),
    [
        ("ok", (1, 1), (1, 1)),
        ("degraded", (1, 1), (0, 1)),
        ("deferred", (1, 1), (0, 1)),
        ("timeout", (0, 1), (0, 1)),
        ("error", (0, 1), (0, 1)),
        ("cancelled", (0, 0), (0, 0)),
        ("bad_request", (0, 0), (0, 0)),
    ],
)
def test_calls(
    word: str, answered: tuple[int, int], first_tier: tuple[int, int]
) -> None:
    """A caller's own mistake is nobody's failure."""
    assert _count("answered", "call", word) == answered
    assert _count("not_degraded", "call", word) == first_tier


def test_latency_and_signals() -> None:
    """Good and total come from two counts, and may be subtracted from."""
    assert _count("fast", "call", "ok") == (0, 1)
    assert _count("fast", "call", "timeout") == (0, 0)
    assert _count("fast", "within", "0.5") == (1, 0)
    assert _count("fast", "within", "0.25") == (0, 0)
    assert _count("uncorrected", "answer", "") == (1, 1)
    assert _count("uncorrected", "signal", "corrected") == (-1, 0)
    assert _count("uncorrected", "signal", "rejected") == (0, 0)
    assert _count("accepted", "signal", "rejected") == (-1, 0)


def test_declaring_again_replaces_by_name() -> None:
    """Two modules may add to one function."""
    first = Objective(sli=Sli.SCHEMA_VALID, target=0.99)
    fast = Objective(sli=Sli.FAST, target=0.9, threshold=2.0)
    declare("f.g", [first, fast])
    declare("f.g", [Objective(sli=Sli.SCHEMA_VALID, target=0.5, window=7 * DAY)])
    assert [one.target for one in declared()["f.g"]] == [0.5, 0.9]
    assert thresholds("f.g") == (2.0,)
    assert thresholds("f.unknown") == ()
