"""Pays what the first call of a process would pay, before there is a first call."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..adapters import provider_for
from ._guard import guard_of, guarded_functions

__all__ = ["warm_up"]


def warm_up(*functions: Callable[..., Any]) -> None:
    """Import the SDKs and load the local models that guarded functions use.

    Call it when a process starts: loading weights takes longer than many deadlines
    allow, and the first caller waits for the import of an SDK (before the deadline
    begins). No model is asked anything.

    Args:
        *functions: The guarded functions; none means all of this process.

    Raises:
        ConfigError: A function is not guarded, or a pin names an unknown provider.
        TierUnavailableError: A package or a file is missing.
    """
    import_module("..breaker.version", __package__)  # what it builds on is slow to load
    guards = [guard_of(f) for f in functions] if functions else guarded_functions()
    for guard in guards:
        for step in guard.steps:
            if step.pins is None:
                continue
            provider = provider_for(step.pins.current)
            warm: Callable[[], None] | None = getattr(provider, "warm", None)
            if warm is not None:
                warm()
