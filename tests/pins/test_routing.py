"""Routing: shares, stickiness, monotony, and salts that know nothing of each other."""

from __future__ import annotations

import math
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from llmguard.pins.routing import (
    BUCKETS,
    UNROUTED,
    RoutingTable,
    arm_of,
    bucket,
    canary_salt,
    canary_takes,
    experiment_salt,
    unit_hash,
)
from llmguard.store import Arm, Experiment, RouteState, Stage
from llmguard.store.ledger import MAX_WEIGHT

_NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
_WEIGHTS = st.integers(min_value=0, max_value=BUCKETS)
_UNITS = 4_000
_Z = 5.0
"""Standard deviations that a share may be off: once in 1.7 million examples."""


def _state(weight: int, *, pin: str = "p-2", route: str = "triage") -> RouteState:
    return RouteState(
        env="prod",
        route=route,
        rev=3,
        active="p-1",
        canary=(pin, weight),
        stages={"p-1": Stage.ACTIVE, pin: Stage.CANARY},
    )


def _experiment(*weights: int, salt: str = "tone", route: str = "triage") -> Experiment:
    arms = tuple(Arm(name=f"arm{n}", weight=w) for n, w in enumerate(weights))
    return Experiment(
        rev=1,
        at=0.0,
        env="prod",
        name="tone",
        route=route,
        version=1,
        arms=arms,
        salt=salt,
        running=True,
        actor="ann",
        reason="",
    )


def _units(seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"user-{rng.getrandbits(48):x}" for _ in range(_UNITS)]


def _within(count: int, share: float) -> bool:
    """Tell whether a count of `_UNITS` trials is what a share of them would give."""
    spread = math.sqrt(_UNITS * share * (1 - share))
    return abs(count - _UNITS * share) <= _Z * spread + 1


def test_the_same_unit_has_the_same_bucket_everywhere() -> None:
    """These numbers are a promise: another version must not move anybody."""
    assert [2576, 462, 7476] == [
        bucket("triage", "canary\0p-2", unit) for unit in ("user-1", "user-2", "ü")
    ]
    assert "967216d739611cff" == unit_hash("user-1")
    assert MAX_WEIGHT == BUCKETS


@given(route=_NAMES, salt=_NAMES, unit=_NAMES)
def test_buckets_are_sticky(route: str, salt: str, unit: str) -> None:
    """It depends on nothing but its three arguments, and lies where it must."""
    first = bucket(route, salt, unit)
    assert first == bucket(route, salt, unit)
    assert 0 <= first < BUCKETS


@settings(max_examples=60, deadline=None)
@given(weight=_WEIGHTS, seed=st.integers(0, 2**32))
def test_a_canary_gets_its_share(weight: int, seed: int) -> None:
    """The count is within binomial bounds for any weight and any units."""
    state = _state(weight)
    taken = sum(canary_takes(state, unit) for unit in _units(seed))
    assert _within(taken, weight / BUCKETS)


@given(unit=_NAMES, weights=st.tuples(_WEIGHTS, _WEIGHTS))
def test_a_share_that_grows_keeps_its_units(
    unit: str, weights: tuple[int, int]
) -> None:
    """Whoever a smaller canary took, a larger one takes too."""
    small, large = sorted(weights)
    assert not canary_takes(_state(small), unit) or canary_takes(_state(large), unit)
    assert canary_takes(_state(BUCKETS), unit)
    assert not canary_takes(_state(0), unit)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.integers(1_000, 9_000))
def test_salts_are_independent(seed: int, share: int) -> None:
    """A 50/50 experiment inside a canary's share is 50/50 there, and outside of it."""
    state, experiment = _state(share), _experiment(5_000, 5_000)
    units = _units(seed)
    inside = [unit for unit in units if canary_takes(state, unit)]
    for group in (inside, [unit for unit in units if unit not in set(inside)]):
        first = sum(_name(experiment, unit) == "arm0" for unit in group)
        spread = math.sqrt(len(group) / 4)
        assert abs(first - len(group) / 2) <= _Z * spread + 1


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_one_canary_says_nothing_about_the_next(seed: int) -> None:
    """Another pin tries itself out on other units; so does another route."""
    units = _units(seed)
    for other in (_state(2_000, pin="p-3"), _state(2_000, route="summary")):
        both = sum(
            canary_takes(_state(2_000), unit) and canary_takes(other, unit)
            for unit in units
        )
        assert _within(both, 0.04)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(0, 2_500), min_size=2, max_size=4),
    seed=st.integers(0, 2**32),
)
def test_arms_get_their_shares(weights: list[int], seed: int) -> None:
    """Each arm, and what is left over."""
    experiment = _experiment(*weights)
    names = [_name(experiment, unit) for unit in _units(seed)]
    for number, weight in enumerate(weights):
        assert _within(names.count(f"arm{number}"), weight / BUCKETS)
    assert _within(names.count(None), 1 - sum(weights) / BUCKETS)


@given(unit=_NAMES, first=st.integers(0, 5_000), more=st.integers(0, 5_000))
def test_the_last_arm_may_grow(unit: str, first: int, more: int) -> None:
    """Nobody changes arms when the last one takes from what was left over."""
    before = _name(_experiment(first, 2_000), unit)
    after = _name(_experiment(first, min(2_000 + more, BUCKETS - first)), unit)
    assert before in {None, after}


def test_salts_of_canaries_and_experiments_never_meet() -> None:
    """Not even for a pin and an experiment of the same name."""
    assert canary_salt("tone") != experiment_salt(_experiment(1, 1, salt="tone"))


def test_a_route_without_a_canary() -> None:
    """Nobody is taken."""
    assert not canary_takes(RouteState(env="prod", route="triage"), "user-1")


def test_a_table_knows_its_routes_and_its_age() -> None:
    """A route that it does not know is the lock's."""
    state = _state(500)
    table = RoutingTable(env="prod", rev=3, routes={"triage": state}, read_at=100.0)
    assert (state, None) == (table.route("triage"), table.route("other"))
    assert [5.0, 0.0] == [table.age(105.0), table.age(99.0)]
    assert math.inf == UNROUTED.age(1.0)


def _name(experiment: Experiment, unit: str) -> str | None:
    arm = arm_of(experiment, unit)
    return None if arm is None else arm.name
