"""Circuit breakers per pinned model version, on transport and on behaviour."""

from __future__ import annotations

from ._events import Transition
from ._machine import Permit
from .commands import COMMANDS, command, find_key
from .detector import ALTERNATIVES, EDetector, upper_rate
from .policy import BreakerPolicy, State
from .registry import BreakerRegistry
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
