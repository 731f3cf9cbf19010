"""Traffic: what processes applied, what providers served, and how arms did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = [
    "BUCKET",
    "EXPOSED_UNITS",
    "SPAN",
    "AppliedRow",
    "ArmRow",
    "ExposureRow",
    "ServedRow",
    "TrafficStore",
    "Verdict",
]

BUCKET = 300.0
"""Seconds that one row of what was served covers."""
SPAN = 3600.0
"""Seconds after which a process that goes on by the same revision starts a new row."""
EXPOSED_UNITS = 100_000
"""Units kept per experiment; who comes later is counted, but not listed."""

Verdict = Literal["match", "mismatch", "unavailable"]
"""Whether the provider's echo fits the pin, or says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRow:
    """A process went by one revision.

    Attributes:
        process: `host:pid`.
        env: Environment.
        at: Epoch seconds of its first call by it at the earliest.
        last_at: When the process last said so.
        rev: Revision of the ledger.
        experiments_rev: Last declaration of an experiment.
        lock: Digest of its `models.lock`.
        stale: Whether it could not ask the store.
    """

    process: str
    env: str
    at: float
    last_at: float
    rev: int
    experiments_rev: int = 0
    lock: str = ""
    stale: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRow:
    """Answers of one pin that said they came from the same model.

    Attributes:
        process: `host:pid`.
        env: Environment.
        route: Route of the pin.
        pin: Id of the pin that was asked.
        model: Model id that the provider echoed; empty when it gave none.
        fingerprint: System fingerprint; empty when it gave none.
        verdict: Whether the echo fits the pin.
        n: Answers.
        last_at: Epoch seconds of the last one; its five minutes are the row's.
    """

    process: str
    env: str
    route: str
    pin: str
    model: str
    fingerprint: str
    verdict: Verdict
    n: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One measure of one arm.

    Attributes:
        env: Environment.
        experiment: Name of the experiment, or `canary:PIN`.
        arm: Name of the arm.
        pin: Id of the pin that it meant.
        measure: `calls`, `valid`, `latency:17` and so on.
        n: How often.
        total: Sum of what was measured.
        at: Epoch seconds; kept by the hour.
    """

    env: str
    experiment: str
    arm: str
    pin: str
    measure: str
    n: int
    total: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureRow:
    """One unit met one arm.

    Attributes:
        env: Environment.
        experiment: Name of the experiment, or `canary:PIN`.
        unit: Hash of the unit.
        arm: Name of the arm.
        pin: Id of the pin.
        rev: Revision of the ledger at which it first did.
        first_at: Epoch seconds.
        last_at: Epoch seconds.
        n: Calls.
    """

    env: str
    experiment: str
    unit: str
    arm: str
    pin: str
    rev: int
    first_at: float
    last_at: float
    n: int


class TrafficStore(Protocol):
    """Roll-ups that processes add to; as durable as counts are."""

    def add_applied(self, rows: Sequence[AppliedRow]) -> None:
        """Write transitions, or move the end of those that are there."""
        ...

    def add_served(self, rows: Sequence[ServedRow]) -> None:
        """Merge one process's increments."""
        ...

    def add_arms(self, rows: Sequence[ArmRow]) -> None:
        """Merge increments."""
        ...

    def add_exposures(self, rows: Sequence[ExposureRow]) -> None:
        """Merge increments; beyond `EXPOSED_UNITS` new units are left out."""
        ...

    def applied(self, env: str, *, at: float) -> Sequence[AppliedRow]:
        """Return the last row of each process that began in the two hours before.

        Whether the process was still alive then is for the reader to see: `last_at`.
        """
        ...

    def served(self, env: str, route: str, *, at: float) -> Sequence[ServedRow]:
        """Return what was served in the five minutes that `at` falls into."""
        ...

    def seen(self, env: str, pin: str, *, since: float) -> Sequence[tuple[str, str]]:
        """Return the pairs of echoed model and fingerprint of a pin."""
        ...

    def arms(
        self, env: str, experiment: str, *, since: float = 0.0
    ) -> Sequence[ArmRow]:
        """Return the measures of an experiment, summed over hours."""
        ...

    def exposures(
        self, env: str, experiment: str, *, limit: int = 1000
    ) -> Sequence[ExposureRow]:
        """Return who met which arm, by unit."""
        ...

    def exposed(self, env: str, experiment: str) -> dict[str, int]:
        """Return how many units met each arm."""
        ...

    def switched(self, env: str, experiment: str) -> int:
        """Return how many units met more than one arm."""
        ...
