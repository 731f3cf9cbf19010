"""Cut-offs from reviews: never promised where it cannot be told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.errors import ConfigError
from llmguard.store import TicketLabel
from llmguard_fallbacks.queue._calibrate import Reviewed, calibrate, reviewed_of


def _sample(chance: random.Random, n: int) -> list[Reviewed]:
    """Proposals whose error rate is 1 - confidence."""
    return [
        Reviewed(confidence=c, right=chance.random() < c)
        for c in (chance.random() for _ in range(n))
    ]


def test_nothing_reviewed_cannot_tell() -> None:
    found = calibrate([], target=0.05)
    assert (found.verdict, found.cutoff, found.needed) == ("cannot tell", None, 59)
    assert "59 without any error" in found.why


def test_too_few_cannot_tell() -> None:
    """58 right answers leave more than 5 % possible; 59 do not."""
    right = [Reviewed(confidence=0.9, right=True)] * 58
    assert calibrate(right, target=0.05).verdict == "cannot tell"
    found = calibrate([*right, right[0]], target=0.05)
    assert found.cutoff is not None
    assert (found.cutoff.taken, found.cutoff.wrong) == (59, 0)


def test_errors_at_the_top_cannot_tell() -> None:
    wrong = [Reviewed(confidence=0.99, right=False)] * 20
    right = [Reviewed(confidence=0.5, right=True)] * 500
    found = calibrate([*wrong, *right], target=0.02)
    assert (found.verdict, "not under 2.00%" in found.why) == ("cannot tell", True)


def test_the_lowest_that_holds() -> None:
    """Right above 0.8, wrong below: the cut-off is there."""
    made = [Reviewed(confidence=c / 1000, right=c >= 800) for c in range(1000)]
    found = calibrate(made, target=0.05)
    assert found.cutoff is not None
    assert 0.78 <= found.cutoff.confidence <= 0.81


def test_the_promise_is_kept() -> None:
    """Over many samples, the true error at the cut-off is rarely above the target.

    With errors of 1 - c at confidence c, uniform: from c on the rate is (1 - c) / 2.
    """
    chance = random.Random(7)
    broken = told = 0
    for _ in range(300):
        found = calibrate(_sample(chance, 400), target=0.1)
        if found.cutoff is not None:
            told += 1
            broken += (1 - found.cutoff.confidence) / 2 > 0.1
    assert told > 100
    # 5 % of 300 are expected at most; 27 would be three standard deviations above.
    assert broken <= 27


@given(
    st.lists(st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), max_size=80),
    st.sampled_from([0.05, 0.2, 0.5]),
)
def test_what_is_told_adds_up(pairs: list[tuple[float, bool]], target: float) -> None:
    made = [Reviewed(confidence=c, right=r) for c, r in pairs]
    found = calibrate(made, target=target)
    for row in found.table:
        taken = [one for one in made if one.confidence >= row.confidence]
        assert row.taken == len(taken)
        assert row.wrong == sum(not one.right for one in taken)
        assert row.low <= row.wrong / row.taken <= row.high
    if found.cutoff is not None:
        assert found.cutoff.bound <= target
        assert found.cutoff.taken >= found.needed


def _label(differs: tuple[str, ...], confidence: float | None = 0.5) -> TicketLabel:
    return TicketLabel(
        ticket_id="t",
        place=0,
        at=0.0,
        function="f",
        pin="p-1",
        tier="m",
        kind="low_confidence",
        confidence=confidence,
        agrees=not differs,
        differs=differs,
    )


def test_only_the_fields_that_count() -> None:
    """What differs inside or around them is wrong, other fields are not."""
    labels = [
        _label(()),
        _label(("/note",)),
        _label(("/category",)),
        _label(("/category/main",)),
        _label(("",)),
        _label(("/categories",)),
        _label((), None),
    ]
    found = [one.right for one in reviewed_of(labels, fields=["/category"])]
    assert found == [True, True, False, False, False, True]
    assert reviewed_of(labels, pin="p-2") == reviewed_of(labels, tier="x") == []


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, float("nan")])
def test_wrong_targets(target: float) -> None:
    with pytest.raises(ConfigError, match="`target`"):
        calibrate([], target=target)
