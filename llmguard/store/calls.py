"""Recent calls: what callers met, one row each, sampled and bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["CallFilter", "CallGroup", "CallRow", "CallStore"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRow:
    """One finished call.

    Attributes:
        id: Id of the call, as in its `Outcome`.
        at: Epoch seconds when it began.
        env: Environment.
        function: Qualified name of the guarded function.
        route: Route of the pin that was asked first; empty where none was.
        pin: Id of that pin.
        answered: Id of the pin whose answer was returned; empty when no model answered.
        tier: Tier that answered; empty when none did.
        outcome: `ok`, `degraded`, `deferred`, or the kind of failure.
        request: The caller's id of the request; empty when it gave none.
        attempts: How many tries there were.
        elapsed: Seconds from call to answer.
        content: True when `body` holds what was asked and answered.
        body: JSON of the attempts; empty where only the row was asked for.
    """

    id: str
    at: float
    env: str
    function: str
    route: str
    pin: str
    answered: str
    tier: str
    outcome: str
    request: str
    attempts: int
    elapsed: float
    content: bool = False
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are asked for; None for any.

    Attributes:
        function: Qualified name.
        route: Route.
        outcome: `ok`, `degraded`, `deferred`, or a kind; `not-ok` for all but `ok`.
        tier: Tier that answered; empty for those that none answered.
        pin: Pin that was asked first, or that answered.
        request: The caller's id of the request, or the id of the call.
        since: Epoch seconds, included.
        until: Epoch seconds, included.
    """

    function: str | None = None
    route: str | None = None
    outcome: str | None = None
    tier: str | None = None
    pin: str | None = None
    request: str | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallGroup:
    """Calls that are alike in all that can be searched for.

    Attributes:
        function: Qualified name.
        route: Route.
        pin: Pin that was asked first.
        tier: Tier that answered.
        outcome: How they ended.
        n: How many are kept.
    """

    function: str
    route: str
    pin: str
    tier: str
    outcome: str
    n: int


class CallStore(Protocol):
    """A sample of the last calls of all processes; what is too old or too much goes."""

    def add(self, rows: Sequence[CallRow], *, most: int, keep: float) -> int:
        """Keep calls; those that are there already are left as they are.

        Args:
            rows: The calls, with their bodies.
            most: Calls to keep in all; the oldest go.
            keep: Seconds to keep them.

        Returns:
            How many were new.
        """
        ...

    def list(
        self,
        env: str,
        wanted: CallFilter | None = None,
        *,
        before: tuple[float, str] | None = None,
        limit: int = 50,
    ) -> Sequence[CallRow]:
        """Return calls without their bodies, the newest first.

        Args:
            env: Environment.
            wanted: Which; all of them by default.
            before: `at` and `id` of a call: only those that come after it here.
            limit: At most so many.
        """
        ...

    def get(self, call: str) -> CallRow | None:
        """Return a call by its id, with its body; None when it is not kept."""
        ...

    def groups(self, env: str) -> Sequence[CallGroup]:
        """Return how many calls are kept of each kind, by what can be searched for."""
        ...

    def span(self, env: str) -> tuple[int, float, float]:
        """Return how many calls are kept, and `at` of the oldest and the newest."""
        ...
