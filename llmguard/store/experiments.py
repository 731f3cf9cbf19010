"""Experiments: which arms share a route's traffic, as rows that are never changed.

* ExperimentError
    + ExperimentConflictError  somebody changed it first: read it again, then decide
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ..errors import ConfigError, LLMGuardError
from .ledger import MAX_WEIGHT

__all__ = [
    "Arm",
    "Experiment",
    "ExperimentConflictError",
    "ExperimentError",
    "ExperimentStore",
    "NewExperiment",
]

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FEWEST_ARMS: Final = 2
_RESERVED: Final = frozenset({"active", "canary"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the versions that an experiment compares.

    Attributes:
        name: Such as `control`.
        weight: Share of the route's traffic in basis points, 0 to 10,000.
        pin: Id of the pin that answers; empty for whichever is active.
    """

    name: str
    weight: int
    pin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExperiment:
    """A declaration that somebody asks for.

    Attributes:
        env: Environment.
        name: Name of the experiment, unique in its environment.
        route: The route whose traffic is shared.
        arms: At least two; what their weights leave over stays out of it.
        salt: Mixes units anew: two experiments with different salts are independent.
            Empty for the name.
        running: False stops it.
        base_version: `version` that the decision rests on; 0 for a new name.
        actor: Who decided.
        reason: Why, one line.

    Raises:
        ConfigError: A field cannot be what it is.
    """

    env: str
    name: str
    route: str
    arms: tuple[Arm, ...]
    salt: str = ""
    running: bool = True
    base_version: int = 0
    actor: str
    reason: str = ""

    def __post_init__(self) -> None:
        for field in ("env", "route", "actor"):
            if not getattr(self, field):
                raise ConfigError(f"`{field}` of an experiment is empty; name it")
        for name in (self.name, *(arm.name for arm in self.arms)):
            if not _NAME.fullmatch(name):
                raise ConfigError(
                    f"{name!r} is no name of an experiment or an arm; use letters, "
                    "digits, `_`, `.` and `-`, such as 'shorter-prompt'"
                )
        _check_arms(self.name, self.arms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One version of a declaration; nothing ever changes it.

    Attributes:
        rev: Its place among all declarations of the store, from 1.
        at: Epoch seconds by the store's clock.
        env: Environment.
        name: Name of the experiment.
        route: The route whose traffic is shared.
        version: 1 for the first declaration under that name, then 2.
        arms: Whom it compares.
        salt: Mixes units.
        running: False once it was stopped.
        actor: Who decided.
        reason: Why.
    """

    rev: int
    at: float
    env: str
    name: str
    route: str
    version: int
    arms: tuple[Arm, ...]
    salt: str
    running: bool
    actor: str
    reason: str


class ExperimentError(LLMGuardError):
    """The store did not take a declaration; nothing was written."""


class ExperimentConflictError(ExperimentError):
    """The experiment is not at the declaration's `base_version`.

    Attributes:
        version: Its last version; 0 when there is none.
    """

    def __init__(self, message: str, *, version: int) -> None:
        super().__init__(message)
        self.version = version


class ExperimentStore(Protocol):
    """An append-only record of declarations, shared by processes."""

    def declare(self, new: NewExperiment) -> Experiment:
        """Write the next version durably and return it.

        Raises:
            ExperimentConflictError: `base_version` is not the last version.
            ExperimentError: Another experiment runs on the route, or the route or the
                salt of a known name would change.
            StoreError: The store could not write.
        """
        ...

    def rev(self) -> int:
        """Return the last declaration's `rev`, 0 when there is none; cheap to poll."""
        ...

    def latest(self, env: str, *, at: float | None = None) -> Sequence[Experiment]:
        """Return the last version of every name, now or at an epoch time, by name."""
        ...

    def history(self, env: str, name: str) -> Sequence[Experiment]:
        """Return every version under one name, the first one first."""
        ...


def _check_arms(name: str, arms: tuple[Arm, ...]) -> None:
    names = [arm.name for arm in arms]
    if len(arms) < _FEWEST_ARMS or len(set(names)) < len(names):
        raise ConfigError(
            f"experiment {name!r} has the arms {names!r}: it compares at least two, "
            "under different names"
        )
    if taken := sorted(_RESERVED.intersection(names)):
        raise ConfigError(
            f"experiment {name!r} calls an arm {taken[0]!r}, which is what calls "
            "outside of it are called; take another, such as 'control'"
        )
    weights = [arm.weight for arm in arms]
    if any(weight < 0 for weight in weights) or not 0 < sum(weights) <= MAX_WEIGHT:
        raise ConfigError(
            f"experiment {name!r} has the weights {weights!r}: give basis points of "
            f"the route's traffic, 0 or more, {MAX_WEIGHT} at most in all"
        )
