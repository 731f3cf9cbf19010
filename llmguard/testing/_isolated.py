"""Guarded calls that share nothing with other tests."""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager

from ..clock import SYSTEM_CLOCK, Clock
from ..guard import Runtime, use_runtime

__all__ = ["isolated"]


@contextmanager
def isolated(*, clock: Clock = SYSTEM_CLOCK, seed: int = 0) -> Generator[Runtime]:
    """Give the guarded calls inside the block breakers and budgets of their own.

    Breakers and retry budgets live as long as the process: without this, the faults
    of one test open the breaker of the next. Nothing is written to the store.

    Args:
        clock: Where time comes from. On a `VirtualClock` sync tiers run in the calling
            thread, because a thread of their own would wait in real time.
        seed: Seed of the jitter.

    Yields:
        The runtime; `runtime.breakers` holds the breakers.
    """
    rng = random.Random(seed)  # noqa: S311 - jitter, not a secret
    runtime = Runtime(clock=clock, rng=rng)
    if clock is not SYSTEM_CLOCK:
        runtime.couriers = None
    with use_runtime(runtime):
        yield runtime
