"""One deadline over all tiers, with a reserve for those further down."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

__all__ = ["CALL_CONTEXT", "CallContext", "slice_for"]

_LOWER_SHARE: Final = 0.5
"""Reserves never take more than this share of what remains."""


class CallContext:
    """What a caller said about the calls made inside `call_context()`; never changed.

    Attributes:
        deadline_at: Monotonic time by which they must be answered.
        labels: Labels such as `request_type`, `stakes`, `idempotency_key`.
        depth: How many guarded calls enclose this one.
        key: Whom the calls belong to, for routing; empty when nobody said.
    """

    __slots__ = ("deadline_at", "depth", "key", "labels")

    def __init__(
        self,
        deadline_at: float | None = None,
        labels: tuple[tuple[str, str], ...] = (),
        depth: int = 0,
        key: str = "",
    ) -> None:
        self.deadline_at = deadline_at
        self.key = key
        self.labels = labels
        self.depth = depth


CALL_CONTEXT: ContextVar[CallContext] = ContextVar(
    "llmguard_call_context",
    default=CallContext(),  # noqa: B039 - never changed
)


def slice_for(remaining: float, reserved: float) -> float:
    """Return the seconds that a tier may use so that those below it get theirs.

    Where the reserves ask for more than half of what remains, they are scaled down to
    half of it together: a short deadline shrinks every tier instead of starving the
    first one.

    Args:
        remaining: Seconds left of the call's deadline.
        reserved: Seconds that the lower tiers ask for together.

    Returns:
        Seconds, never negative.
    """
    if remaining <= 0.0:
        return 0.0
    return remaining - min(reserved, remaining * _LOWER_SHARE)
