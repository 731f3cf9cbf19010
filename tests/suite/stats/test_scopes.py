"""Rules about traffic, and cases that are left out because they repeat themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmguard.suite import Status, Verdict
from llmguard.suite.stats import Decider

from .deciding import CASES, LOOSE, PAIRED, SCHEMA, TRAFFIC, WORST, play_round


def test_traffic_accepts_in_the_middle_of_the_first_round() -> None:
    """Each first call is a draw of its own: 171 of them do, wherever the round ends."""
    decider = Decider([TRAFFIC], cases=1000, cap=1)
    for i in range(171):
        assert not decider.decided
        decider.feed("traffic", f"c{i}", failed=False)
    assert Verdict.PROMOTE == decider.verdict()


def test_forty_prompts_never_speak_for_traffic() -> None:
    """Fifty clean rounds of the same prompts accept the suite, not the traffic."""
    decider = Decider([TRAFFIC, SCHEMA], cases=40)
    for _ in range(50):
        play_round(decider)
    assert [Status.OPEN, Status.ACCEPTED] == [s.status for s in decider.states()]


def test_margins_of_traffic() -> None:
    """Pairs are draws, too: shared failures accept, the candidate's own ones block."""
    rule = replace(PAIRED, name="traffic", scope="traffic")
    shared, worse = Decider([rule], cases=100), Decider([rule], cases=100)
    for _ in range(5):
        for i in range(100):
            shared.feed("traffic", f"c{i}", i % 5 == 0, i % 5 == 0)
            worse.feed("traffic", f"c{i}", i % 5 == 0, incumbent_failed=False)
        shared.end_round()
        worse.end_round()
    assert (Verdict.PROMOTE, Verdict.BLOCK) == (shared.verdict(), worse.verdict())
    assert shared.state("traffic").n < 100 > worse.state("traffic").n


def test_later_rounds_of_traffic_still_count() -> None:
    """What the first round leaves open, the prompts' means may yet decide."""
    rule = replace(PAIRED, name="traffic", scope="traffic")
    decider = Decider([rule], cases=100)
    for round_ in range(1, 20):
        for i in range(100):
            # One in six prompts is worse; in the first round half of them passed.
            failed = i % 6 == 0 and (round_ > 1 or i % 4 == 0)
            decider.feed("traffic", f"c{i}", failed, incumbent_failed=False)
            assert decider.needs("traffic", f"c{i}") or decider.decided
        before = decider.state("traffic").log_block
        decider.end_round()
        if decider.decided:
            break
        assert decider.state("traffic").log_block >= before
    assert (Verdict.BLOCK, True) == (decider.verdict(), round_ > 1)


def test_clusters_are_observed_once_a_round() -> None:
    """Ten cases of one user say as much as one, and nothing before the round's end."""
    clusters = {f"c{i}": f"u{i // 10}" for i in range(40)}
    many = Decider([TRAFFIC], cases=40, clusters=clusters)
    few = Decider([TRAFFIC], cases=4)
    for case in CASES:
        many.feed("traffic", case, failed=True)
    assert Verdict.UNDECIDED == many.verdict()
    many.end_round()
    play_round(few, CASES[:4], cases=CASES[:4])
    assert Verdict.BLOCK == few.verdict() == many.verdict()
    assert few.state("traffic").log_block != many.state("traffic").log_block


def test_settled_cases_add_no_calls_and_no_good_word() -> None:
    """They pass in the evidence to block; the evidence to accept goes without them."""
    settled, asked = Decider([SCHEMA], cases=40), Decider([SCHEMA], cases=40)
    for decider in (settled, asked):
        play_round(decider)
    for case in CASES[:10]:
        settled.settle(case)
    assert CASES[10:] == [c for c in CASES if settled.needs("schema", c)]
    play_round(settled, ["c39"], cases=CASES[10:])
    play_round(asked, ["c39"])
    one, other = settled.state("schema"), asked.state("schema")
    assert (70, 80) == (one.n, other.n)
    assert one.log_block == pytest.approx(other.log_block, abs=0.1)
    assert one.log_accept < other.log_accept


def test_only_cases_that_never_failed_settle() -> None:
    """A failing case is where the information is, and the last ones are still asked."""
    decider = Decider([LOOSE, WORST, PAIRED], cases=3)
    play_round(decider, ["c0"], cases=CASES[:3])
    for case in CASES[:3]:
        decider.settle(case)
    assert [True, False, False] == [decider.needs("loose", c) for c in CASES[:3]]
    assert decider.needs("worst", "c1")
    assert decider.needs("paired", "c1")
    everything = Decider([LOOSE], cases=2)
    play_round(everything, cases=CASES[:2])
    everything.settle("c0")
    everything.settle("c1")
    assert everything.needs("loose", "c0")
