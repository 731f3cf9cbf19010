"""pybreaker's face: its three states, counters and commands, read from our machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pybreaker

from ..errors import ConfigError
from ._machine import AUTOMATIC, Machine
from ._share import Share
from .policy import State

__all__ = ["CLASSIC", "Classic", "StateView"]

CLASSIC: Final = {
    State.CLOSED: pybreaker.STATE_CLOSED,
    State.FORCED_CLOSED: pybreaker.STATE_CLOSED,
    State.HALF_OPEN: pybreaker.STATE_HALF_OPEN,
    State.OPEN: pybreaker.STATE_OPEN,
    State.FORCED_OPEN: pybreaker.STATE_OPEN,
    State.QUARANTINED: pybreaker.STATE_OPEN,
}
"""The nearest state that pybreaker knows."""

_OBJECTS: Final[dict[str, Any]] = {
    pybreaker.STATE_CLOSED: pybreaker.CircuitClosedState,
    pybreaker.STATE_HALF_OPEN: pybreaker.CircuitHalfOpenState,
    pybreaker.STATE_OPEN: pybreaker.CircuitOpenState,
}


class StateView(pybreaker.CircuitBreakerStorage):
    """A storage that shows our machine to pybreaker's own properties."""

    def __init__(self, machine: Machine, share: Share) -> None:
        super().__init__("llmguard")
        self._machine = machine
        self._share = share

    @property
    def state(self) -> str:
        """The nearest state that pybreaker knows."""
        return CLASSIC[self._machine.state]

    @state.setter
    def state(self, state: str) -> None:
        """Do nothing: the machine has moved already."""

    @property
    def counter(self) -> int:
        """Infrastructure failures in a row."""
        return self._machine.run

    @property
    def success_counter(self) -> int:
        """Good probes since it half-opened."""
        return self._machine.probes_good

    @property
    def opened_at(self) -> datetime | None:
        """When it last opened; None unless it is open."""
        if self.state != pybreaker.STATE_OPEN:
            return None
        return datetime.fromtimestamp(self._share.since, UTC)

    @opened_at.setter
    def opened_at(self, datetime: datetime) -> None:
        """Do nothing: the machine knows."""


class Classic(pybreaker.CircuitBreaker):
    """pybreaker's commands and properties, for a subclass that has a machine."""

    _machine: Machine
    _command: Callable[..., bool]

    def classic_state(self, name: str) -> Any:
        """Return pybreaker's state object of that name, without its side effects."""
        return _OBJECTS[name](self, prev_state=None, notify=False)

    @property
    def state(self) -> Any:
        """Pybreaker's state object; `status` tells all six states."""
        return self.classic_state(self.current_state)

    @state.setter
    def state(self, state_str: str) -> None:
        """Go to one of the three states by its name."""
        {"open": self.open, "closed": self.close, "half-open": self.half_open}[
            state_str
        ]()

    @property
    def fail_max(self) -> int:
        """Infrastructure failures in a row that open it: `policy.consecutive`."""
        return self._machine.policy.consecutive

    @fail_max.setter
    def fail_max(self, number: int) -> None:
        self._set(consecutive=number)

    @property
    def reset_timeout(self) -> float:
        """Seconds of the first open period: `policy.open_for`."""
        return self._machine.policy.open_for

    @reset_timeout.setter
    def reset_timeout(self, timeout: float) -> None:
        self._set(open_for=timeout)

    @property
    def success_threshold(self) -> int:
        """Good probes in a row that close it when `policy.close_by` is `streak`."""
        return self._machine.policy.streak

    @success_threshold.setter
    def success_threshold(self, threshold: int) -> None:
        self._set(streak=threshold)

    def _set(self, **thresholds: Any) -> None:
        with self._lock:
            self._machine.configure(replace(self._machine.policy, **thresholds))

    def open(self) -> bool:
        """Open it for a while, as `trip` does."""
        self._command(self._machine.trip, "open() was called", "code")
        return False

    def half_open(self) -> None:
        """Let probes through now.

        Raises:
            ConfigError: It is quarantined or forced; only `release` ends that.
        """
        self._refuse_protected("half_open")
        self._command(self._machine.half_open, "half_open() was called", "code")

    def close(self) -> None:
        """Close it from open or half-open.

        Raises:
            ConfigError: It is quarantined or forced; only `release` ends that.
        """
        self._refuse_protected("close")
        self._command(self._machine.release, "close() was called", "code")

    def _refuse_protected(self, verb: str) -> None:
        state = self._machine.state
        if state not in AUTOMATIC:
            raise ConfigError(
                f"breaker {self.name!r} is {state.value}; `{verb}()` does not end "
                f"that. Call `release(reason, actor)`, or run "
                f"`llmguard breaker resume {self.name!r}`"
            )
