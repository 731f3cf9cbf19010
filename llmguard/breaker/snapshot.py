"""What a breaker shows: a snapshot for status pages, an error for refused calls."""

from __future__ import annotations

import pybreaker

from .._dataclass import dataclass
from ..errors import CircuitOpenError
from ..outcome import Kind
from ._events import Delivery
from ._machine import Machine
from ._share import Share
from .policy import State

__all__ = ["BreakerOpenError", "BreakerSnapshot", "refusal", "snapshot_of"]


class BreakerOpenError(CircuitOpenError, pybreaker.CircuitBreakerError):
    """The breaker admits nobody; pybreaker's error too, for code that catches that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSnapshot:
    """One breaker at one moment.

    Attributes:
        key: `function|pin id`.
        function: The function's part of the key.
        pin: The pin's part of the key.
        state: The state.
        reason: Why it is in it; empty for one that never moved.
        actor: Who moved it there: `breaker`, or the user name of a person.
        since: Epoch seconds of the last transition.
        retry_after: Seconds until a probe may be admitted; 0.0 when one is admitted
            now, None when only a person can change that.
        generation: Transitions so far.
        admitted: Permits given by this process.
        rejected: Calls refused by this process.
        stale: Results that came too late to count.
        calls: Calls within the rolling window.
        failures: Infrastructure failures within it.
        slow: Slow calls within it.
        consecutive: Infrastructure failures in a row.
        probes: Half-open places taken.
        observed: Distinct inputs the behaviour detector has counted.
        broken: Those that broke the contract.
        p0: Contract failure rate taken for normal.
        evidence: The detector's evidence as a share of what trips; 1.0 trips.
        published: False while the store has not got this state.
        listener_errors: Callbacks that raised.
        last_listener_error: The last one's error, by `repr`.
    """

    key: str
    function: str
    pin: str
    state: State
    reason: str
    actor: str
    since: float
    retry_after: float | None
    generation: int
    admitted: int
    rejected: int
    stale: int
    calls: int
    failures: int
    slow: int
    consecutive: int
    probes: int
    observed: int
    broken: int
    p0: float
    evidence: float
    published: bool
    listener_errors: int
    last_listener_error: str


def snapshot_of(
    key: str, machine: Machine, share: Share, events: Delivery, now: float
) -> BreakerSnapshot:
    """Read a snapshot; the caller holds the breaker's lock."""
    machine.window.roll(now)
    function, _, pin = key.rpartition("|")
    return BreakerSnapshot(
        key=key,
        function=function,
        pin=pin,
        state=machine.state,
        reason=machine.reason,
        actor=machine.actor,
        since=share.since,
        retry_after=machine.retry_after(now),
        generation=machine.generation,
        admitted=machine.admitted,
        rejected=machine.rejected,
        stale=machine.stale,
        calls=machine.window.calls,
        failures=machine.window.failures,
        slow=machine.window.slow,
        consecutive=machine.run,
        probes=sum(ends > now for ends in machine.leases.values()),
        observed=machine.detector.calls,
        broken=machine.detector.fails,
        p0=machine.detector.p0,
        evidence=machine.detector.evidence / machine.detector.threshold,
        published=not share.dirty,
        listener_errors=events.errors,
        last_listener_error=events.last_error,
    )


def refusal(key: str, machine: Machine, now: float) -> BreakerOpenError:
    """Return the error for a call that is not admitted."""
    wait = machine.retry_after(now)
    if wait is None:
        way = f"`llmguard breaker resume '{key}'` lets calls through again"
    elif machine.state is State.OPEN:
        way = f"it lets probes through in {wait:.1f} s"
    else:
        way = f"{len(machine.leases)} probes are under way"
    return BreakerOpenError(
        f"breaker {key!r} is {machine.state.value}: {machine.reason}; {way}",
        kind=Kind.OPEN,
        retry_after=wait,
        quarantined=machine.state is State.QUARANTINED,
        pin=key.rpartition("|")[2],
    )
