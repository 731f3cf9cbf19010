"""What a sync guarded function wants to know about event loops."""

from __future__ import annotations

import sys
import warnings

from ..errors import LLMGuardWarning

__all__ = ["on_event_loop", "warn_blocking"]


def on_event_loop() -> bool:
    """Tell whether this thread runs one.

    Without importing asyncio, and without the exception that its own question raises
    where there is none: both cost more than the rest of a call's set-up.
    """
    events = sys.modules.get("asyncio.events")
    running = getattr(events, "_get_running_loop", None)
    return running is not None and running() is not None


def warn_blocking(name: str, seconds: float) -> None:
    """Warn at the caller's line that a sync call blocks its event loop."""
    warnings.warn(
        f"the sync function `{name}` is called on a running event loop and blocks it "
        f"for up to {seconds:g} s: make it `async def`, or call it with `await "
        "asyncio.to_thread(...)`",
        LLMGuardWarning,
        stacklevel=3,
    )
