"""Telling others what happened: in order, outside the lock, at nobody's risk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from .._dataclass import dataclass
from .policy import State

__all__ = ["Delivery", "Transition"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of state.

    Attributes:
        key: `function|pin id`.
        old: State before.
        new: State after.
        reason: Why, one line.
        actor: `breaker`, or the user name of a person.
        at: Epoch seconds.
        until: Epoch seconds when an open breaker may admit probes; None otherwise.
        generation: Grows by one with every transition of this breaker.
    """

    key: str
    old: State
    new: State
    reason: str
    actor: str
    at: float
    until: float | None
    generation: int


class Delivery:
    """A queue of callbacks, run in order by one thread at a time.

    `put` is called under the breaker's lock, which fixes the order; `drain` after it
    was released. A thread that finds another one delivering leaves its events to it,
    so a callback may run a moment after the call that caused it has returned.

    Attributes:
        pending: What is queued.
        errors: Callbacks that raised.
        last_error: The last one's error, by `repr`.
    """

    __slots__ = ("_gate", "errors", "last_error", "pending")

    def __init__(self) -> None:
        self.errors = 0
        self.last_error = ""
        self.reset()

    def reset(self) -> None:
        """Drop what is pending; in a forked child it belongs to the parent."""
        self.pending: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._gate = threading.Lock()

    def put(self, callback: Callable[..., object], *args: object) -> None:
        """Queue one callback."""
        self.pending.append((callback, args))

    def drain(self) -> None:
        """Run what is queued, unless another thread is doing so."""
        # Checked again after the gate is free: a late `put` must not be stranded.
        while self.pending and self._gate.acquire(blocking=False):
            try:
                self._run_all()
            finally:
                self._gate.release()

    def _run_all(self) -> None:
        while self.pending:
            callback, args = self.pending.popleft()
            try:
                callback(*args)
            except Exception as error:  # noqa: BLE001 - a listener may fail in any way
                self.errors += 1
                self.last_error = repr(error)
