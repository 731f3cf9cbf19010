"""What a caller can say about the calls it is about to make."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from ..errors import ConfigError
from ._deadline import CALL_CONTEXT, CallContext
from ._runtime import current_runtime

__all__ = ["call_context"]


@contextmanager
def call_context(
    *, deadline: float | None = None, key: str = "", **labels: str
) -> Generator[None]:
    """Give guarded calls inside the block a deadline, a key and labels.

    Args:
        deadline: Seconds from now; it wins over a function's own when it is shorter.
        key: Whom the calls belong to, such as a user's id: canaries and experiments
            treat the same key alike. Only its hash is recorded.
        **labels: Such as `request_type="refund"` or `stakes="high"`; tiers see them in
            `when=` conditions as `call.labels`.

    Yields:
        Nothing.

    Raises:
        ConfigError: The deadline is NaN.
    """
    outer = CALL_CONTEXT.get()
    at = outer.deadline_at
    if deadline is not None:
        if deadline != deadline:  # noqa: PLR0124 - only NaN differs from itself
            raise ConfigError("`deadline=nan` of `call_context` is no time")
        asked = current_runtime().clock.monotonic() + deadline
        at = asked if at is None else min(at, asked)
    merged = dict(outer.labels) | labels
    token = CALL_CONTEXT.set(
        CallContext(at, tuple(sorted(merged.items())), outer.depth, key or outer.key)
    )
    try:
        yield
    finally:
        CALL_CONTEXT.reset(token)
