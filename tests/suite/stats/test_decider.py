"""The sequential decision: when it blocks, accepts, and leaves things open."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from llmguard.errors import ConfigError
from llmguard.suite import Status, Verdict
from llmguard.suite.stats import BetaMixture, Decider, PairedBetting, Rule

from .deciding import CASES, LOOSE, PAIRED, SCHEMA, WORST, play_round


def test_a_clean_suite_is_accepted_at_the_end_of_a_round() -> None:
    """171 calls without a failure refute 2 %: the fifth round of 40 ends at 200."""
    decider = Decider([SCHEMA], cases=40)
    for round_ in range(1, 6):
        assert Verdict.UNDECIDED == decider.verdict()
        for case in CASES:
            decider.feed("schema", case, failed=False)
        assert Status.OPEN is decider.state("schema").status
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


def test_a_block_is_what_the_round_would_end_with() -> None:
    """The evidence in mid-round is that of a round whose rest passes."""
    whole, part = Decider([LOOSE], cases=40), Decider([LOOSE], cases=40)
    play_round(whole, CASES[30:33], cases=CASES)
    for case in CASES[:33]:
        part.feed("loose", case, case in CASES[30:33])
    assert whole.state("loose").log_block == pytest.approx(
        part.state("loose").log_block
    )
    play_round(part, cases=CASES[33:])
    assert whole.state("loose").log_block == part.state("loose").log_block


def test_early_bets_end_with_the_first_round() -> None:
    """However short it was: what comes later counts as the round will end."""
    decider = Decider([SCHEMA], cases=40)
    play_round(decider, cases=[])
    for case in CASES[:2]:
        decider.feed("schema", case, failed=True)
    closed = BetaMixture(tolerate=0.005, unacceptable=0.02).log_block(40, 2)
    expected = math.log(5 / 6 * math.exp(closed) + 1 / 6)
    assert decider.state("schema").log_block == pytest.approx(expected)


def test_not_before_the_third_round() -> None:
    """A few answers per prompt are the least to speak of a suite."""
    decider = Decider([LOOSE], cases=40)
    for expected in (Status.OPEN, Status.OPEN, Status.ACCEPTED):
        play_round(decider)
        assert expected is decider.state("loose").status
    eager = Decider([LOOSE], cases=40, min_rounds=1)
    play_round(eager)
    assert Verdict.PROMOTE == eager.verdict()


def test_thresholds_split_the_false_blocks_among_gating_rules() -> None:
    """Alpha / K each to block; beta each to accept; pending rules take no share."""
    pending = replace(LOOSE, gating=False)
    decider = Decider([SCHEMA, WORST, pending], cases=40, alpha=0.02, beta=0.1)
    for state in decider.states():
        assert state.block_at == pytest.approx(math.log(2 / 0.02))
        assert state.accept_at == pytest.approx(math.log(10))


def test_pending_rules_report_and_do_not_gate() -> None:
    """A blocked pending rule leaves the verdict to the others."""
    decider = Decider([SCHEMA, replace(LOOSE, gating=False)], cases=40)
    for _ in range(5):
        for case in CASES:
            decider.feed("schema", case, failed=False)
            decider.feed("loose", case, failed=True)
        decider.end_round()
    assert Status.BLOCKED is decider.state("loose").status
    assert Verdict.PROMOTE == decider.verdict()
    alone = Decider([replace(LOOSE, gating=False)], cases=40)
    play_round(alone, CASES)
    assert Verdict.UNDECIDED == alone.verdict()


def test_every_gating_rule_must_be_accepted() -> None:
    """One open rule keeps the suite undecided; one blocked one blocks it."""
    decider = Decider([SCHEMA, LOOSE], cases=40)
    for _ in range(4):
        play_round(decider)
    assert (("schema",), False) == (decider.open, decider.decided)
    play_round(decider, CASES)
    assert (Verdict.BLOCK, True) == (decider.verdict(), decider.decided)


def test_what_is_decided_stays_as_it_was() -> None:
    """Counts and evidence are those of the decision."""
    decider = Decider([LOOSE], cases=40)
    for _ in range(3):
        play_round(decider)
    before = decider.state("loose")
    play_round(decider, CASES, names=["loose"])
    assert before == decider.state("loose")
    assert not decider.needs("loose", "c0")


def test_a_single_bad_prompt_is_blocked_alone() -> None:
    """40 prompts share the bound: the fourth failure in a row of one of them blocks."""
    decider = Decider([WORST], cases=40)
    for round_ in range(1, 5):
        assert Verdict.UNDECIDED == decider.verdict()
        play_round(decider, ["c7"])
        assert (round_ == 4) == (Verdict.BLOCK == decider.verdict())
    (suspect,) = decider.state("worst").suspects
    assert ("c7", 4, True) == (suspect.case, suspect.failures, suspect.listed)


def test_a_suspicion_is_not_on_the_list() -> None:
    """One failure makes a prompt worth a look; four in a row put it on the list."""
    decider = Decider([replace(SCHEMA, tolerate=0.01)], cases=40, alpha=1e-6)
    play_round(decider, ["c3"])
    (suspect,) = decider.state("schema").suspects
    assert ("c3", 1, 1, False) == (
        suspect.case,
        suspect.n,
        suspect.failures,
        suspect.listed,
    )
    for _ in range(3):
        play_round(decider, ["c3"])
    assert decider.state("schema").suspects[0].listed


def test_prompts_are_accepted_one_by_one() -> None:
    """After 12 calls without a failure a prompt is done; the failing one goes on."""
    decider = Decider([WORST], cases=40)
    play_round(decider, ["c7"])
    for _ in range(11):
        play_round(decider, cases=[c for c in CASES if decider.needs("worst", c)])
    assert ["c7"] == [c for c in CASES if decider.needs("worst", c)]
    while Verdict.UNDECIDED == decider.verdict():
        play_round(decider, cases=["c7"])
    mixture = BetaMixture(tolerate=0.05, unacceptable=0.25)
    enough = next(n for n in range(99) if mixture.log_accept(n, 1) >= math.log(20))
    assert (Verdict.PROMOTE, enough) == (decider.verdict(), decider.rounds)


def test_no_good_word_of_a_prompt_before_ten_calls() -> None:
    """`n_min` holds even where the evidence would do."""
    easy = replace(WORST, unacceptable=0.6)
    for n_min, rounds in ((10, 10), (4, 4), (20, 20)):
        decider = Decider([easy], cases=3, n_min=n_min, min_rounds=1)
        while Verdict.UNDECIDED == decider.verdict():
            play_round(decider, cases=CASES[:3])
        assert rounds == decider.rounds


def test_a_prompt_that_was_never_asked_is_not_accepted() -> None:
    """The rule is about all of its prompts."""
    decider = Decider([WORST], cases=40, cap=30)
    for _ in range(30):
        play_round(decider, cases=CASES[:39])
    assert Verdict.UNDECIDED == decider.verdict()


def test_pairs_compare_with_the_incumbent() -> None:
    """Failures that the incumbent shares say nothing; those it lacks block."""
    shared, worse = Decider([PAIRED], cases=40), Decider([PAIRED], cases=40)
    for _ in range(3):
        for i, case in enumerate(CASES):
            shared.feed("paired", case, i % 4 == 0, i % 4 == 0)
            worse.feed("paired", case, i % 4 == 0, incumbent_failed=False)
        shared.end_round()
        worse.end_round()
    state = shared.state("paired")
    assert (Status.ACCEPTED, 30, 30, 0) == (
        state.status,
        state.failures,
        state.incumbent_failures,
        state.worse,
    )
    assert Status.BLOCKED is worse.state("paired").status


def test_a_tie_may_block() -> None:
    """It is worse news than what was assumed of it, the incumbent failing alone."""
    decider = Decider([PAIRED], cases=40)
    for i, case in enumerate(CASES):
        decider.feed("paired", case, 24 <= i < 36, incumbent_failed=False)
        if decider.decided:
            break
    assert (Verdict.BLOCK, 12) == (decider.verdict(), decider.state("paired").failures)
    assert 36 < decider.state("paired").n <= 40


def test_accepting_pairs_reads_the_counts() -> None:
    """The evidence at a round's end is the closed form of what was counted."""
    decider = Decider([PAIRED], cases=4)
    outcomes = [(True, False), (False, True), (True, True), (False, False)]
    for case, (failed, base) in zip(CASES, outcomes, strict=False):
        decider.feed("paired", case, failed, base)
    decider.end_round()
    state = decider.state("paired")
    betting = PairedBetting(tolerate=0.0, unacceptable=0.05)
    assert betting.log_accept(4, 1, 1) == state.log_accept
    assert (4, 2, 2, 1, 1) == (
        state.n,
        state.failures,
        state.incumbent_failures,
        state.worse,
        state.better,
    )


def test_what_could_not_be_judged_counts_nowhere() -> None:
    """Neither a missing verdict nor half a pair is evidence."""
    decider = Decider([SCHEMA, PAIRED, WORST], cases=40)
    decider.feed("schema", "c0", None)
    decider.feed("paired", "c0", failed=True, incumbent_failed=None)
    decider.feed("paired", "c1", None, incumbent_failed=False)
    decider.feed("worst", "c0", None)
    assert [0, 0, 0] == [state.n for state in decider.states()]
    assert decider.state("schema").rate is None


def test_nothing_is_needed_after_the_cap() -> None:
    """What is open then stays open."""
    decider = Decider([SCHEMA], cases=40, cap=2)
    play_round(decider)
    assert decider.needs("schema", "c0")
    play_round(decider)
    assert not decider.needs("schema", "c0")
    assert (Verdict.UNDECIDED, ("schema",)) == (decider.verdict(), decider.open)


def test_the_path_tells_the_story() -> None:
    """One point per round, and one at the decision."""
    decider = Decider([SCHEMA], cases=40)
    play_round(decider, ["c3"])
    play_round(decider)
    for case in CASES:
        decider.feed("schema", case, failed=True)
    path = decider.state("schema").path
    assert [(40, 1, 1), (80, 2, 1)] == [(p.n, p.round, p.failures) for p in path[:2]]
    assert path[-1].round == 3
    assert path[-1].block >= decider.state("schema").block_at > path[1].block


def test_a_rule_for_some_of_the_cases_has_rounds_of_its_own() -> None:
    """Twenty boundary cases: evidence waits for twenty calls, not forty."""
    few = Decider([replace(SCHEMA, cases=20)], cases=40)
    many = Decider([SCHEMA], cases=40)
    for decider in (few, many):
        for case in CASES[:20]:
            decider.feed("schema", case, case in CASES[17:20])
    assert few.state("schema").log_block > many.state("schema").log_block


def test_a_case_is_fed_once_a_round() -> None:
    """The bound rests on one call of each prompt per round."""
    decider = Decider([SCHEMA], cases=40)
    decider.feed("schema", "c0", failed=False)
    with pytest.raises(ConfigError, match="twice in one round"):
        decider.feed("schema", "c0", failed=False)
    decider.end_round()
    decider.feed("schema", "c0", failed=False)


def test_unknown_rules_are_named() -> None:
    """The error lists what there is."""
    with pytest.raises(ConfigError, match=r"no rule 'schemas'.* 'schema', 'loose'"):
        Decider([SCHEMA, LOOSE], cases=4).state("schemas")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": []}, "at least one"),
        ({"rules": [SCHEMA, SCHEMA]}, "a name of its own"),
        ({"alpha": 0.0}, "probabilities"),
        ({"beta": 1.0}, "probabilities"),
        ({"cases": 0}, "must be at least 1"),
        ({"cap": 0}, "must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    """Wrong settings fail before any call is made."""
    with pytest.raises(ConfigError, match=message):
        Decider(**({"rules": [SCHEMA], "cases": 40} | options))  # type: ignore[arg-type]  # a table of mistakes


@pytest.mark.parametrize(
    ("low", "high", "relative"),
    [(0.0, 0.1, False), (0.2, 0.1, True), (-0.1, 0.1, True), (0.5, 1.5, False)],
)
def test_rules_need_a_gap(low: float, high: float, relative: bool) -> None:
    """A margin may be zero, a rate may not."""
    with pytest.raises(ConfigError, match="two rates with a gap"):
        Rule(name="r", tolerate=low, unacceptable=high, relative=relative)
