"""Where callers find the story of a call: `capture()` and `current_outcome()`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import field
from typing import cast

from .._dataclass import dataclass
from ..outcome import Outcome

__all__ = ["capture", "current_outcome", "detach", "publish", "swap_box"]


@dataclass(slots=True)
class _Box:
    """A list that threads and tasks started inside `capture()` share with it."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    parent: _Box | None = None


_BOX: ContextVar[_Box | None] = ContextVar("llmguard_capture", default=None)
_LAST: ContextVar[Outcome | None] = ContextVar("llmguard_last", default=None)


@contextmanager
def capture() -> Generator[list[Outcome]]:
    """Collect the `Outcome` of every guarded call made inside the block.

    The list grows as calls end, in the order they end, and includes calls made in
    tasks and in threads that copied this context. Captures nest: outer ones see the
    outcomes of inner ones too.

    Yields:
        The growing list.
    """
    box = _Box(parent=_BOX.get())
    token = _BOX.set(box)
    try:
        yield box.outcomes
    finally:
        _BOX.reset(token)


def swap_box(box: object) -> object:
    """Collect outcomes in `box` from now on; returns what they went into before.

    Args:
        box: A list, or what this function returned.
    """
    before = _BOX.get()
    if isinstance(box, list):
        _BOX.set(_Box(outcomes=cast("list[Outcome]", box)))
    else:
        _BOX.set(cast("_Box | None", box))
    return before


def current_outcome() -> Outcome | None:
    """Return the outcome of the last guarded call that ended in this context.

    Returns:
        None when no guarded call has ended in this task or thread yet.
    """
    return _LAST.get()


def publish(outcome: Outcome) -> None:
    """Hand a finished call's outcome to whoever asked for it."""
    _LAST.set(outcome)
    box = _BOX.get()
    while box is not None:
        box.outcomes.append(outcome)
        box = box.parent


def detach() -> None:
    """Have what follows in this context reach nobody's `capture()`."""
    _BOX.set(None)
