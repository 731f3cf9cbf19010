"""Declared experiments, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llmguard.errors import ConfigError
from llmguard.store import (
    Arm,
    ExperimentConflictError,
    ExperimentError,
    NewExperiment,
    Store,
)
from llmguard.testing import VirtualClock

_ARMS = (
    Arm(name="control", weight=5_000),
    Arm(name="shorter", weight=5_000, pin="p-2"),
)


def _new(name: str = "tone", **fields: object) -> NewExperiment:
    given: dict[str, object] = {
        "env": "prod",
        "route": "triage",
        "arms": _ARMS,
        "actor": "ann",
    }
    return NewExperiment(name=name, **{**given, **fields})  # type: ignore[arg-type]  # a helper's free keywords


def test_every_change_is_a_row(
    open_again: Callable[[], Store], clock: VirtualClock
) -> None:
    """Versions count up; what was declared at a time can be asked for later."""
    experiments = open_again().experiments
    assert 0 == experiments.rev()
    first = experiments.declare(_new(reason="try it"))
    clock.advance(60)
    wider = (_ARMS[0], Arm(name="shorter", weight=2_000, pin="p-2"))
    second = experiments.declare(_new(arms=wider, base_version=1))
    clock.advance(60)
    third = experiments.declare(_new(running=False, base_version=2))
    other = open_again().experiments
    assert [first, second, third] == list(other.history("prod", "tone"))
    assert [(1, True), (2, True), (3, False)] == [
        (one.version, one.running) for one in (first, second, third)
    ]
    assert ("tone", wider, 3) == (second.salt, second.arms, other.rev())
    assert [third] == list(other.latest("prod"))
    assert [first] == list(other.latest("prod", at=first.at + 30))
    assert [] == list(other.latest("prod", at=first.at - 1))
    assert [] == list(other.latest("staging"))


def test_the_second_of_two_deciders_loses(store: Store) -> None:
    """Compare and set on the version, as for a route's revision."""
    store.experiments.declare(_new())
    with pytest.raises(ExperimentConflictError, match=r"version 1, not 0.*again") as e:
        store.experiments.declare(_new())
    assert 1 == e.value.version
    with pytest.raises(ExperimentConflictError, match="is at version 0, not 4"):
        store.experiments.declare(_new("other", base_version=4))


def test_one_experiment_runs_on_a_route(store: Store) -> None:
    """The next one starts when the one before was stopped."""
    store.experiments.declare(_new())
    with pytest.raises(ExperimentError, match=r"'tone' runs on route 'triage'.*stop"):
        store.experiments.declare(_new("length"))
    store.experiments.declare(_new("length", route="summary"))
    store.experiments.declare(_new("length-2", env="staging"))
    store.experiments.declare(_new(running=False, base_version=1))
    assert 5 == store.experiments.declare(_new("length-3")).rev


@pytest.mark.parametrize("changed", [{"route": "summary"}, {"salt": "other"}])
def test_what_would_move_every_unit_is_refused(
    store: Store, changed: dict[str, str]
) -> None:
    """Another salt or route is another experiment."""
    store.experiments.declare(_new())
    with pytest.raises(ExperimentError, match="give it another name"):
        store.experiments.declare(_new(base_version=1, **changed))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"actor": ""}, "`actor` of an experiment is empty"),
        ({"name": "a b"}, "'a b' is no name"),
        ({"arms": _ARMS[:1]}, "compares at least two"),
        ({"arms": (_ARMS[0], _ARMS[0])}, "under different names"),
        ({"arms": (_ARMS[0], Arm(name="canary", weight=1))}, "calls an arm 'canary'"),
        ({"arms": (_ARMS[0], Arm(name="b", weight=5_001))}, "10000 at most in all"),
        ({"arms": (_ARMS[0], Arm(name="b", weight=-1))}, "0 or more"),
        ({"arms": tuple(Arm(name=n, weight=0) for n in "ab")}, r"weights \[0, 0\]"),
    ],
)
def test_wrong_declarations_are_refused(
    fields: dict[str, object], message: str
) -> None:
    """Before anything is written."""
    with pytest.raises(ConfigError, match=message):
        _new(**fields)  # type: ignore[arg-type]  # wrong on purpose
