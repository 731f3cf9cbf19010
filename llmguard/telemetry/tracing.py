"""Who draws spans around calls while they run; nobody, until telemetry is enabled.

Finished calls are told to hooks; a span must be open while the body runs, so that
what the body does (an HTTP request, a database query) becomes its child.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from .._dataclass import dataclass
from ..outcome import Attempt, Outcome
from ..reply import Reply

__all__ = [
    "AttemptStart",
    "AttemptTrace",
    "CallTrace",
    "Content",
    "Tracer",
    "activate",
    "active",
    "deactivate",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptStart:
    """What is known when an attempt begins.

    Attributes:
        tier: Name of the tier.
        number: 1 for the first try of this tier.
        pin: Id of the pin; empty for tiers that are not models.
        provider: Name of the provider; empty likewise.
        model: Exact model id; empty likewise.
        endpoint: Base URL; empty for the provider's own.
        params: Pinned sampling parameters.
        stream: True when the answer comes in chunks.
        structured: True when the contract asks for JSON.
    """

    tier: str
    number: int = 1
    pin: str = ""
    provider: str = ""
    model: str = ""
    endpoint: str = ""
    params: Mapping[str, object]
    stream: bool = False
    structured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What was said, for those who asked to record it.

    Attributes:
        messages: Roles and contents of what was sent, in order; empty when unknown.
        text: What came back; None when unknown.
    """

    messages: Sequence[tuple[str, object]] = ()
    text: str | None = None


class AttemptTrace(Protocol):
    """One attempt that is being traced."""

    def enter(self) -> object:
        """Make it the parent of what this thread or task does from now on."""
        ...

    def leave(self, token: object) -> None:
        """Undo one `enter`, in the same thread or task."""
        ...

    def end(self, attempt: Attempt, reply: Reply | None, content: Content) -> None:
        """Take how it ended."""
        ...


class CallTrace(Protocol):
    """One call that is being traced."""

    def attempt(self, start: AttemptStart) -> AttemptTrace:
        """Open the trace of one attempt."""
        ...

    def end(self, outcome: Outcome) -> None:
        """Take how the call ended."""
        ...


class Tracer(Protocol):
    """Draws spans; what it raises is its own fault and must not happen."""

    content: bool
    """Whether it records what was said."""

    def call(self, function: str, call_id: str) -> CallTrace:
        """Open the trace of one call, below whatever is current."""
        ...


active: Tracer | None = None
"""Who draws spans in this process; read by every call."""


def activate(tracer: Tracer) -> None:
    """Have `tracer` draw spans from now on."""
    global active  # noqa: PLW0603 - one read on the hot path, no lock
    active = tracer


def deactivate() -> None:
    """Draw no more spans."""
    global active  # noqa: PLW0603 - as above
    active = None
