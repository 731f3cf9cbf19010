"""A context for calls of one request, where no `with` block spans the request.

A WSGI response is read after the application has returned, perhaps never closed, and
perhaps closed elsewhere. So a request starts afresh, whatever an earlier one left in
this thread, and going back needs no token of the context it began in.
"""

from __future__ import annotations

from collections.abc import Callable

from ..outcome import Outcome
from ._capture import collect_into
from ._deadline import CALL_CONTEXT, CallContext
from ._runtime import current_runtime

__all__ = ["begin_request"]


def begin_request(
    *, deadline: float | None = None, key: str = "", **labels: str
) -> tuple[list[Outcome], Callable[[], None]]:
    """Give guarded calls of this thread or task a deadline, a key and labels.

    Args:
        deadline: Seconds from now; None leaves each function its own.
        key: Whom the calls belong to, for routing.
        **labels: Labels of the calls.

    Returns:
        The growing list of outcomes, and a function that ends the request.
    """
    before = CALL_CONTEXT.get()
    at = None
    if deadline is not None:
        at = current_runtime().clock.monotonic() + deadline
    CALL_CONTEXT.set(CallContext(at, tuple(sorted(labels.items())), 0, key))
    outcomes, stop = collect_into()

    def end() -> None:
        CALL_CONTEXT.set(before)
        stop()

    return outcomes, end
