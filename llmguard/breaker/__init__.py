"""Circuit breakers per pinned model version, on transport and on behaviour."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ._events import Transition
from ._machine import Permit
from .commands import COMMANDS, command, find_key
from .detector import ALTERNATIVES, EDetector, upper_rate
from .policy import BreakerPolicy, State
from .registry import BreakerRegistry

if TYPE_CHECKING:
    from .snapshot import BreakerOpenError, BreakerSnapshot
    from .version import VersionBreaker, breaker_key

__all__ = [
    "ALTERNATIVES",
    "COMMANDS",
    "BreakerOpenError",
    "BreakerPolicy",
    "BreakerRegistry",
    "BreakerSnapshot",
    "EDetector",
    "Permit",
    "State",
    "Transition",
    "VersionBreaker",
    "breaker_key",
    "command",
    "find_key",
    "upper_rate",
]

# What needs pybreaker is imported when the first breaker is made.
_LAZY: Final = MappingProxyType(
    {
        "BreakerOpenError": "snapshot",
        "BreakerSnapshot": "snapshot",
        "VersionBreaker": "version",
        "breaker_key": "version",
    }
)


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = found
    return found
