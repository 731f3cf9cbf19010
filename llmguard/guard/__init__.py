"""The guarded call: decorators, the engine, tiers, deadline, retry budget."""

from __future__ import annotations

from ._binder import INJECTED
from ._builtin_tiers import on_pin, static
from ._capture import capture, current_outcome
from ._context import call_context
from ._decorators import contract, fallback_chain, pinned
from ._exercise import EXERCISER, Exerciser
from ._fitness import Fitness, fitness
from ._guard import Guard, guard_of, guarded_functions
from ._keeper import on_exchange
from ._retry import RetryPolicy
from ._runtime import Runtime, current_runtime, use_runtime
from ._warm import warm_up
from .tiers import AsyncTier, Tier, TierContext, TierOptions

__all__ = [
    "EXERCISER",
    "INJECTED",
    "AsyncTier",
    "Exerciser",
    "Fitness",
    "Guard",
    "RetryPolicy",
    "Runtime",
    "Tier",
    "TierContext",
    "TierOptions",
    "call_context",
    "capture",
    "contract",
    "current_outcome",
    "current_runtime",
    "fallback_chain",
    "fitness",
    "guard_of",
    "guarded_functions",
    "on_exchange",
    "on_pin",
    "pinned",
    "static",
    "use_runtime",
    "warm_up",
]
