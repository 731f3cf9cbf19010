"""Functions that are told of every answer of a model: what it said, and to what.

Hooks of finished calls get an `Outcome`, which holds no content. Who watches behaviour
needs the answer itself; nobody pays for this channel while nobody listens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from .._dataclass import dataclass
from .._quick import quick
from ..outcome import Attempt

__all__ = [
    "Answer",
    "AnswerHook",
    "add_answer_hook",
    "emit_answer",
    "lost_answers",
    "make_answer",
    "remove_answer_hook",
]

_LOG = logging.getLogger("llmguard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One attempt of one tier, with its content by reference.

    Attributes:
        call_id: Id of the call.
        function: Qualified name of the guarded function.
        at: Wall-clock start of the call, seconds since the epoch.
        attempt: How the attempt ended; its `pin` is empty for tiers without a model.
        value: The value that the contract accepted, or None. It is the very object
            that the caller gets: read it soon, and never change it.
        text: The answer as the model wrote it; None where it is not known.
        inputs: The call's arguments by name, also by reference.
    """

    call_id: str
    function: str
    at: float
    attempt: Attempt
    value: object
    text: str | None
    inputs: Mapping[str, object]


AnswerHook = Callable[[Answer], None]
"""Is called with each judged answer; must neither block nor raise."""

make_answer: Final = quick(Answer)
"""Makes an `Answer` in a sixth of the time."""
hooks: tuple[AnswerHook, ...] = ()
"""Who is told; read by the engine before it makes anything for them."""
_lost = 0


def add_answer_hook(hook: AnswerHook) -> AnswerHook:
    """Have `hook` called with every attempt that asked a tier, in the caller's thread.

    Keep it shorter than a few microseconds. What it raises is logged, counted in
    `lost_answers()` and otherwise ignored.

    Returns:
        The hook, so that this works as a decorator.
    """
    global hooks  # noqa: PLW0603 - one tuple swapped whole needs no lock on the hot path
    if hook not in hooks:
        hooks = (*hooks, hook)
    return hook


def remove_answer_hook(hook: AnswerHook) -> None:
    """Stop calling `hook`; removing one that is not there does nothing."""
    global hooks  # noqa: PLW0603 - as above
    hooks = tuple(h for h in hooks if h != hook)


def lost_answers() -> int:
    """Return how many hook calls have raised since the process started."""
    return _lost


def emit_answer(answer: Answer) -> None:
    """Tell every hook of one attempt."""
    global _lost  # noqa: PLW0603 - a counter for `doctor`
    for hook in hooks:
        try:
            hook(answer)
        except Exception:  # noqa: BLE001 - a listener's fault must not fail the call
            _lost += 1
            _LOG.exception("answer hook %r failed on call %s", hook, answer.call_id)
