"""A context for calls of one request, where no `with` block spans the request.

A WSGI response is read after the application has returned, perhaps never to its end,
and perhaps never closed. So the request's context is entered for each piece of work and
left again after it: nothing stays behind in the thread.
"""

from __future__ import annotations

from typing import Self

from ..outcome import Outcome
from ._capture import swap_box
from ._deadline import CALL_CONTEXT, CallContext
from ._runtime import current_runtime

__all__ = ["RequestContext"]


class RequestContext:
    """Deadline, key and labels of one request's guarded calls; entered many times.

    What encloses the request in this thread does not reach into it.

    Args:
        deadline: Seconds from now; None leaves each function its own.
        key: Whom the calls belong to, for routing.
        **labels: Labels of the calls.

    Attributes:
        outcomes: The growing list of what the calls came to.
    """

    __slots__ = ("_before", "_box", "_context", "outcomes")

    def __init__(
        self, *, deadline: float | None = None, key: str = "", **labels: str
    ) -> None:
        at = None
        if deadline is not None:
            at = current_runtime().clock.monotonic() + deadline
        self._context = CallContext(at, tuple(sorted(labels.items())), 0, key)
        self._before: CallContext | None = None
        self.outcomes: list[Outcome] = []
        self._box: object = self.outcomes

    def __enter__(self) -> Self:
        self._before = CALL_CONTEXT.get()
        self._box = swap_box(self._box)
        CALL_CONTEXT.set(self._context)
        return self

    def __exit__(self, *_: object) -> None:
        # No tokens: the work may go on in another context than the one it began in.
        self._box = swap_box(self._box)
        if self._before is not None:
            CALL_CONTEXT.set(self._before)
