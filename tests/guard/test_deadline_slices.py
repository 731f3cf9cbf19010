"""How a deadline is divided over the tiers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.guard._deadline import slice_for

_SECONDS = st.floats(0, 1e6, allow_nan=False)


@given(remaining=_SECONDS, below=st.lists(_SECONDS, max_size=6))
def test_a_tier_gets_half_at_least_and_never_more_than_is_left(
    remaining: float, below: list[float]
) -> None:
    """No list of reserves can starve the tier above it."""
    got = slice_for(remaining, sum(below))
    assert remaining / 2 <= got <= remaining


@given(remaining=st.floats(1, 1e6), below=st.lists(st.floats(0, 0.1), max_size=5))
def test_small_reserves_are_kept_whole(remaining: float, below: list[float]) -> None:
    """What the lower tiers ask for is left to them when there is enough."""
    got = slice_for(remaining, sum(below))
    assert remaining - sum(below) == pytest.approx(got)


def test_no_time_left() -> None:
    """An overdrawn deadline gives nothing, not a negative timeout."""
    assert 0.0 == slice_for(-1.0, 0.5)
