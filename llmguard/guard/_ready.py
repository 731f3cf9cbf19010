"""What the first call of a guarded function needs, brought in before its clock runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..adapters import provider_for

if TYPE_CHECKING:
    from ._guard import Guard
    from ._plan import Step
    from ._runtime import Runtime

__all__ = ["make_ready"]


def make_ready(guard: Guard, runtime: Runtime) -> None:
    """Look up the chain, and import what its calls would import.

    Importing breakers and an SDK takes a second or two, once. A program that only
    declares guarded functions should not pay for it, and a deadline of two seconds
    should not be spent on it: so it is done by the first call, before its deadline
    begins. Nothing is asked, opened or loaded but code and certificates.
    """
    for step in guard.steps:
        # What is wrong is met again by the call, where a tier answers for it.
        with contextlib.suppress(Exception):
            _load(step, runtime)
    vars(guard)["ready"] = True


def _load(step: Step, runtime: Runtime) -> None:
    if step.pins is None:
        return
    runtime.breakers.load()
    load: Callable[..., Any] | None
    load = getattr(provider_for(step.pins.current), "load", None)
    if load is not None:
        load(is_async=step.awaited)
