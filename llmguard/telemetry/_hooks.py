"""Functions that are told of every finished call."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..outcome import Outcome

__all__ = ["Hook", "add_hook", "dropped", "emit", "remove_hook"]

Hook = Callable[[Outcome], None]
"""Is called with each outcome; must neither block nor raise."""

_LOG = logging.getLogger("llmguard")
_LOG.addHandler(logging.NullHandler())
_hooks: tuple[Hook, ...] = ()
_dropped = 0


def add_hook(hook: Hook) -> Hook:
    """Have `hook` called with the outcome of every guarded call of this process.

    It runs in the caller's thread after the answer is known: keep it short. What it
    raises is logged, counted in `dropped()` and otherwise ignored.

    Returns:
        The hook, so that this works as a decorator.
    """
    global _hooks  # noqa: PLW0603 - one tuple swapped whole needs no lock on the hot path
    if hook not in _hooks:
        _hooks = (*_hooks, hook)
    return hook


def remove_hook(hook: Hook) -> None:
    """Stop calling `hook`; removing one that is not there does nothing."""
    global _hooks  # noqa: PLW0603 - as above
    _hooks = tuple(h for h in _hooks if h != hook)


def dropped() -> int:
    """Return how many hook calls have raised since the process started."""
    return _dropped


def emit(outcome: Outcome) -> None:
    """Tell every hook of a finished call."""
    global _dropped  # noqa: PLW0603 - a counter for `doctor`
    for hook in _hooks:
        try:
            hook(outcome)
        except Exception:  # noqa: BLE001 - a listener's fault must not fail the call
            _dropped += 1
            _LOG.exception("hook %r failed on call %s", hook, outcome.call_id)
