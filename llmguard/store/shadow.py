"""What shadow mode keeps: runs with their budgets, counts, tallies, a few pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["ShadowCount", "ShadowPair", "ShadowRun", "ShadowStore", "ShadowTally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRun:
    """One challenger beside one incumbent, for a while.

    Attributes:
        id: Unique; every process derives the same one for the same shadow.
        env: Environment, such as `prod`.
        subject: Name of the route, or of the function for one that `@shadow` started.
        pin: Id of the challenger's pin.
        origin: `ledger` or `decorator`.
        options: JSON of how it samples and what it may spend.
        started_at: Epoch seconds.
        calls_limit: Calls that it may make in all; None for no limit.
        cost_limit: What they may cost in all; None for no limit.
        state: `running` or `stopped`.
        reason: Why it stopped; empty while it runs.
        actor: Who started it, or stopped it.
        stopped_at: Epoch seconds; None while it runs.
        calls: Calls that processes have taken out of the budget so far.
        cost: What the calls that are known have cost.
    """

    id: str
    env: str
    subject: str
    pin: str
    origin: str
    options: str
    started_at: float
    calls_limit: int | None = None
    cost_limit: float | None = None
    state: str = "running"
    reason: str = ""
    actor: str = ""
    stopped_at: float | None = None
    calls: int = 0
    cost: float = 0.0

    @property
    def running(self) -> bool:
        """True until it is stopped."""
        return self.state == "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCount:
    """How often something happened, or how much of it.

    Attributes:
        run: Id of the run.
        function: Qualified name of the guarded function.
        incumbent: Id of the pin that was compared with; empty where none was.
        stratum: Slice of the traffic; empty for the whole.
        name: What is counted, such as `sampled` or `dropped: the queue is full`.
        n: How often.
        total: Sum of what was measured, such as seconds; 0 for mere counts.
    """

    run: str
    function: str
    incumbent: str
    stratum: str
    name: str
    n: int
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTally:
    """What one process has compared so far; a later one of it replaces this one.

    Attributes:
        run: Id of the run.
        function: Qualified name of the guarded function.
        incumbent: Id of the pin that was compared with.
        process: `host:pid` and when it began.
        body: JSON, mergeable with those of other processes.
        at: Epoch seconds.
    """

    run: str
    function: str
    incumbent: str
    process: str
    body: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPair:
    """One request, as both versions answered it.

    Attributes:
        id: Unique.
        run: Id of the run.
        function: Qualified name of the guarded function.
        incumbent: Id of the pin that was compared with.
        stratum: Slice of the traffic.
        at: Epoch seconds of the live call.
        rung: Where the two part, 1 the most severe; 0 where they do not.
        direction: From what to what; empty where they do not part.
        content: True when `body` holds what was asked and answered.
        body: JSON.
    """

    id: str
    run: str
    function: str
    incumbent: str
    stratum: str
    at: float
    rung: int
    direction: str
    content: bool
    body: str


class ShadowStore(Protocol):
    """Where shadow runs live; shared by processes."""

    def start(self, run: ShadowRun) -> bool:
        """Write a new run durably; False when its id is there already."""
        ...

    def get(self, run: str) -> ShadowRun | None:
        """Return a run by its id."""
        ...

    def runs(
        self, *, env: str | None = None, running: bool = False, limit: int | None = 100
    ) -> Sequence[ShadowRun]:
        """Return runs, the newest first; all of them when `limit` is None."""
        ...

    def stop(self, run: str, *, reason: str, actor: str) -> bool:
        """End a run; False when it was not running."""
        ...

    def reserve(self, run: str, calls: int) -> int:
        """Take up to `calls` calls out of the budget; negative ones give back.

        Returns:
            How many may be made; 0 when the budget is used up or the run has stopped.
        """
        ...

    def add(
        self,
        run: str,
        *,
        counts: Sequence[ShadowCount] = (),
        tallies: Sequence[ShadowTally] = (),
        pairs: Sequence[ShadowPair] = (),
        cost: float = 0.0,
        keep: int = 5_000,
    ) -> None:
        """Merge what one process has gathered on one run.

        Args:
            run: Id of the run.
            counts: Added to what is there.
            tallies: Replace this process's earlier ones.
            pairs: Kept up to `keep` a run; pairs that do not part go first, then the
                oldest.
            cost: What its calls have cost since the last time.
            keep: Most pairs of the run to keep.
        """
        ...

    def counts(self, run: str) -> Sequence[ShadowCount]:
        """Return the counts of a run."""
        ...

    def tallies(self, run: str) -> Sequence[ShadowTally]:
        """Return the tallies of a run, one for each process."""
        ...

    def fold_tallies(self, gone: Sequence[ShadowTally], into: ShadowTally) -> bool:
        """Replace tallies of processes that are gone by one that holds their sum.

        Returns:
            False, with nothing done, when one of them has changed since or is gone.
        """
        ...

    def pairs(
        self, run: str, *, parted: bool = False, limit: int = 1_000, offset: int = 0
    ) -> Sequence[ShadowPair]:
        """Return pairs, the most severe and then the newest first."""
        ...

    def purge(self, run: str, *, before: float) -> int:
        """Delete pairs older than `before`, epoch seconds; returns how many."""
        ...
