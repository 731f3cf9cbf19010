"""llmguard makes functions that call an LLM dependable when the model changes.

Decorate a plain function: `@contract` says what every answer must satisfy, `@pinned`
which exact model version gives it, `@fallback_chain` who answers when that one cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import errors
from ._late import join_shadows
from ._version import __version__
from .adapters import Model, Prompt
from .breaker import BreakerPolicy
from .contract import Contract
from .errors import Deferred
from .guard import (
    INJECTED,
    call_context,
    capture,
    contract,
    current_outcome,
    fallback_chain,
    on_pin,
    pinned,
    static,
    warm_up,
)
from .guard._keeper import on_exchange
from .outcome import Attempt, Kind, Outcome, Violation
from .pins import Pin
from .reply import Reply

if TYPE_CHECKING:
    from .contract import checks as check
    from .monitor import slo

__all__ = [
    "INJECTED",
    "Attempt",
    "BreakerPolicy",
    "Contract",
    "Deferred",
    "Kind",
    "Model",
    "Outcome",
    "Pin",
    "Prompt",
    "Reply",
    "Violation",
    "__version__",
    "call_context",
    "capture",
    "check",
    "contract",
    "current_outcome",
    "errors",
    "fallback_chain",
    "on_pin",
    "pinned",
    "slo",
    "static",
    "warm_up",
]


_LATE = {"check": ".contract.checks", "slo": ".monitor.slo"}
on_exchange(join_shadows)


def __getattr__(name: str) -> object:
    """Import what many programs do without when it is first named."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(_LATE[name], __name__)
    globals()[name] = module
    return module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
