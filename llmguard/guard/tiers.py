"""What a tier is: one way to answer a call, and what it may know about the call.

The guard hands every tier the same `TierContext` and judges whatever comes back with
the same contract. A tier answers by returning a value or a `Reply`; it gives up by
raising: `Deferred` when a person will answer, anything else to move down the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from ..outcome import Attempt

if TYPE_CHECKING:
    from ..contract import Contract

__all__ = ["AsyncTier", "Tier", "TierContext", "TierOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierContext:
    """One call, as a tier sees it.

    Attributes:
        call_id: Unique id of the call; the same on every tier.
        function: Qualified name of the guarded function.
        inputs: The function's arguments by name, defaults applied, `model` left out.
        contract: The contract the answer must satisfy; None when there is none.
        remaining: Returns the seconds left in this tier's slice of the deadline.
        attempts: What was tried above, in order.
        labels: Labels of the call, such as `request_type` and `stakes`.
    """

    call_id: str
    function: str
    inputs: Mapping[str, object]
    contract: Contract | None
    remaining: Callable[[], float]
    attempts: tuple[Attempt, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class TierOptions:
    """Conditions and limits that every tier understands.

    Attributes:
        when: The tier is skipped for calls where this returns False.
        min_confidence: Answers below it count as `low_confidence` and go on down.
        timeout: Seconds one attempt may take, within the tier's slice.
        reserve: Seconds of the deadline that upper tiers must leave for this one.
        concurrency: Calls that may be in this tier at once; None for no limit. A
            call that finds it full moves on at once.
        attempts: Tries within this tier, the first one included.
    """

    when: Callable[[TierContext], bool] | None = None
    min_confidence: float | None = None
    timeout: float | None = None
    reserve: float = 0.2
    concurrency: int | None = None
    attempts: int = 1


@runtime_checkable
class Tier(Protocol):
    """One way to answer a call.

    Attributes:
        name: Shown in outcomes, metrics and `llmguard status`.
        terminal: True when it cannot fail; the last tier of a chain must be terminal.
        inline: True when it answers in microseconds without waiting for anything, so
            that it needs no thread of its own to keep to the deadline.
        options: Its conditions and limits.
    """

    @property
    def name(self) -> str:
        """The tier's name."""
        ...

    @property
    def terminal(self) -> bool:
        """Whether it cannot fail."""
        ...

    @property
    def inline(self) -> bool:
        """Whether it answers without waiting."""
        ...

    @property
    def options(self) -> TierOptions:
        """Its conditions and limits."""
        ...

    def run(self, call: TierContext) -> object:
        """Answer the call: a value, a `Reply`, or an exception."""
        ...

    def check(self, contract: Contract | None) -> None:
        """Raise `ConfigError` at decoration when this tier can never satisfy it."""
        ...


@runtime_checkable
class AsyncTier(Tier, Protocol):
    """A tier that can also answer without blocking the event loop."""

    async def arun(self, call: TierContext) -> object:
        """Answer the call; used by async guarded functions instead of `run`."""
        ...
