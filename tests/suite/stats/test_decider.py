"""The sequential decision: when it blocks, accepts, and leaves things open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmguard.errors import ConfigError
from llmguard.suite import Status, Verdict
from llmguard.suite.stats import Decider, Rule

SCHEMA = Rule(name="schema", tolerate=0.005, unacceptable=0.02)
CASES = [f"c{i}" for i in range(40)]


def test_a_clean_suite_is_accepted_at_the_end_of_a_round() -> None:
    """171 calls without a failure refute 2 %: the fifth round of 40 ends at 200."""
    decider = Decider([SCHEMA], cases=40)
    for round_ in range(1, 6):
        assert Verdict.UNDECIDED == decider.verdict()
        for case in CASES:
            decider.feed("schema", case, failed=False)
        decider.end_round(round_)
    assert Verdict.PROMOTE == decider.verdict()
    assert 200 == decider.state("schema").decided_at


def test_a_broken_suite_is_blocked_within_the_first_round() -> None:
    """Four failures block under six rules, whatever the rest of the round brings."""
    others = [replace(SCHEMA, name=f"other-{i}") for i in range(5)]
    decider = Decider([SCHEMA, *others], cases=40)
    for i, case in enumerate(CASES):
        decider.feed("schema", case, failed=i >= 20)
    state = decider.state("schema")
    assert (Status.BLOCKED, Verdict.BLOCK) == (state.status, decider.verdict())
    assert (24, 4) == (state.n, state.failures)


def test_a_case_is_fed_once_a_round() -> None:
    """The bound rests on one call of each prompt per round."""
    decider = Decider([SCHEMA], cases=40)
    decider.feed("schema", "c0", failed=False)
    with pytest.raises(ConfigError, match="twice in one round"):
        decider.feed("schema", "c0", failed=False)
    decider.end_round()
    decider.feed("schema", "c0", failed=False)
