"""What a tier is: one way to answer a call, and what it may know about the call.

The guard hands every tier the same `TierContext` and judges whatever comes back with
the same contract. A tier answers by returning a value or a `Reply`; it gives up by
raising: `Deferred` when a person will answer, anything else to move down the chain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from .._dataclass import dataclass
from ..errors import ConfigError
from ..outcome import Attempt, Kind

if TYPE_CHECKING:
    from ..contract import Contract

__all__ = [
    "AsyncTier",
    "Proposal",
    "Tier",
    "TierContext",
    "TierOptions",
    "check_seconds",
]

MAX_SECONDS: Final = 1e6
"""Longer limits overflow what sockets accept."""


def check_seconds(**limits: float | None) -> None:
    """Raise `ConfigError` for a limit in seconds that is not finite and positive.

    Raises:
        ConfigError: A limit is not above 0, or longer than `MAX_SECONDS`.
    """
    for name, value in limits.items():
        if value is not None and not 0 < value <= MAX_SECONDS:
            raise ConfigError(
                f"`{name}={value!r}` must be seconds, greater than zero and at most "
                f"{MAX_SECONDS:.0f}; leave it out for the default"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An answer of a tier above that was not good enough.

    Attributes:
        attempt: Which of the call's attempts gave it.
        tier: Name of the tier.
        pin: Id of the pin that was asked; empty for tiers that are no models.
        kind: Why it was not taken, such as `semantic` or `low_confidence`.
        confidence: The tier's own, from 0 to 1; None when it gave none.
        has_value: True when `value` is the answer.
        value: The answer as a value.
        text: The answer as text, where it was no value.
    """

    attempt: int
    tier: str
    pin: str
    kind: Kind
    confidence: float | None
    has_value: bool
    value: object
    text: str


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
        proposals: The answers among the attempts that were not good enough, in order.
    """

    call_id: str
    function: str
    inputs: Mapping[str, object]
    contract: Contract | None
    remaining: Callable[[], float]
    attempts: tuple[Attempt, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    proposals: tuple[Proposal, ...] = ()


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

    Raises:
        ConfigError: A limit is not a finite positive number, `min_confidence` no share
            from 0 to 1, or `when` async.
    """

    when: Callable[[TierContext], bool] | None = None
    min_confidence: float | None = None
    timeout: float | None = None
    reserve: float = 0.2
    concurrency: int | None = None
    attempts: int = 1

    def __post_init__(self) -> None:
        """Refuse limits that would make the tier hang or never run."""
        check_seconds(timeout=self.timeout)
        if not 0 <= self.reserve <= MAX_SECONDS:
            raise ConfigError(
                f"`reserve={self.reserve!r}` must be seconds, such as 0.2; 0 for none"
            )
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise ConfigError(
                f"`min_confidence={self.min_confidence!r}` must be a share from 0 to "
                "1, such as 0.9"
            )
        for name, count in (
            ("attempts", self.attempts),
            ("concurrency", self.concurrency),
        ):
            if count is not None and count < 1:
                raise ConfigError(f"`{name}={count!r}` must be 1 or more")
        if inspect.iscoroutinefunction(self.when):
            raise ConfigError(
                "`when=` is asked without waiting: give a plain function, no "
                "`async def`"
            )


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
