"""Routing: which of the versions that a route knows answers for one call.

The functions here are pure; what they decide on is one immutable `RoutingTable`, so a
call that reads it once sees one revision throughout.

A unit (a user, a tenant, or else the call itself) falls into one of 10,000 buckets by
`blake2b(route, salt, unit)`, and a share of w basis points is the buckets below w. So
a unit stays where it is while nothing changes, and a share that grows keeps those it
had. Each canary and each experiment has a salt of its own: being in one says nothing
about the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from .._dataclass import dataclass

if TYPE_CHECKING:
    # Only for checkers: a program without a store does not import one.
    from ..store import Arm, Experiment, RouteState

__all__ = [
    "ACTIVE",
    "BUCKETS",
    "CANARY",
    "UNROUTED",
    "Routed",
    "RoutingTable",
    "TableSource",
    "arm_of",
    "bucket",
    "canary_salt",
    "canary_takes",
    "experiment_salt",
    "unit_hash",
]

ACTIVE: Final = "active"
"""The arm of calls that a canary did not take."""
CANARY: Final = "canary"
"""The arm of calls that a canary took."""
BUCKETS: Final = 10_000
"""As many as there are basis points."""


def _no_routes() -> Mapping[str, RouteState]:
    return MappingProxyType({})


def _no_experiments() -> Mapping[str, Experiment]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """What the store said at one revision; replaced whole, never changed.

    Attributes:
        env: The environment that it is about.
        rev: Last revision of the ledger that it contains; 0 for an empty ledger.
        routes: State of every route that has ledger entries, by name. A route that is
            not here is served by the lock's active pin.
        experiments: The experiment that runs on a route, by the route's name.
        experiments_rev: Last declaration of an experiment that it contains.
        read_at: Epoch seconds when the store last said that this is so; 0 for never.
        stale: True while the store cannot be asked.
        problem: Why it is stale; empty when it is not.
        closed: True when it has been stale for longer than `max_stale` allows: routes
            with ledger entries are not served by their first tier any more.
    """

    env: str
    rev: int = 0
    routes: Mapping[str, RouteState] = field(default_factory=_no_routes)
    experiments: Mapping[str, Experiment] = field(default_factory=_no_experiments)
    experiments_rev: int = 0
    read_at: float = 0.0
    stale: bool = False
    problem: str = ""
    closed: bool = False

    def route(self, name: str) -> RouteState | None:
        """Return a route's state; None where the lock alone decides."""
        return self.routes.get(name)

    def age(self, now: float) -> float:
        """Return the seconds since the store last confirmed it.

        Args:
            now: Epoch seconds.
        """
        return max(0.0, now - self.read_at) if self.read_at else float("inf")


UNROUTED: Final = RoutingTable(env="")
"""The table of processes without a store: the lock alone decides."""


class TableSource(Protocol):
    """Has the table that calls go by; `llmguard.pins.router.Router` is another one."""

    @property
    def table(self) -> RoutingTable:
        """The newest table; never waits."""
        ...


@dataclass(slots=True)
class Routed:
    """A table that changes when somebody assigns another one: for tests and tools."""

    table: RoutingTable = UNROUTED


def bucket(route: str, salt: str, unit: str) -> int:
    """Return the bucket of a unit, 0 to 9,999; the same on every machine."""
    text = f"{route}\0{salt}\0{unit}".encode("utf-8", "surrogatepass")
    digest = blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def unit_hash(unit: str) -> str:
    """Return what is recorded of a unit, 16 hex digits: who it is stays with you."""
    text = unit.encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=8, person=b"llmguard.unit").hexdigest()


def canary_salt(pin: str) -> str:
    """Return the salt of a canary.

    It holds the pin: the next canary tries itself out on other units.
    """
    return f"canary\0{pin}"


def experiment_salt(experiment: Experiment) -> str:
    """Return the salt of an experiment, which no canary has."""
    return f"experiment\0{experiment.salt}"


def canary_takes(state: RouteState, unit: str) -> bool:
    """Tell whether a unit belongs to the canary's share of a route."""
    if state.canary is None:
        return False
    pin, weight = state.canary
    return bucket(state.route, canary_salt(pin), unit) < weight


def arm_of(experiment: Experiment, unit: str) -> Arm | None:
    """Return the arm that a unit belongs to; None when it is in none.

    The arms lie one after the other, in their order. A last arm that grows, or a first
    one that grows into what was left over, keeps its units; so does every arm while the
    weights before it stay.
    """
    place = bucket(experiment.route, experiment_salt(experiment), unit)
    for arm in experiment.arms:
        if place < arm.weight:
            return arm
        place -= arm.weight
    return None
