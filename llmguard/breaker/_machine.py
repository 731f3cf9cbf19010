"""The breaker's states and ledgers, without lock, clock, listeners or store.

`VersionBreaker` calls every method under its lock and passes the time in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..outcome import POLICY, Kind, Signal
from ._probe import probe_test
from ._seen import SeenInputs
from ._window import Window
from .detector import EDetector
from .policy import BreakerPolicy, State

__all__ = ["BREAKER", "Machine", "Permit"]

BREAKER: Final = "breaker"
"""The actor of transitions that no person asked for."""

GONE: Final = "the provider does not know the pinned model"
"""How the reason begins when a 404 opened the breaker."""

AUTOMATIC: Final = frozenset({State.CLOSED, State.OPEN, State.HALF_OPEN})
"""States that evidence may move; the others belong to a person."""

_ADMITS_ALL: Final = frozenset({State.CLOSED, State.FORCED_CLOSED})

# Looked up once: enum members and nested mappings cost more than the arithmetic.
_SIGNAL: Final = {kind: policy.infra for kind, policy in POLICY.items()}
_FAILURE, _IGNORE = Signal.FAILURE, Signal.IGNORE
_CANCELLED = Kind.CANCELLED
_CLOSED, _HALF_OPEN = State.CLOSED, State.HALF_OPEN


class Permit:
    """Leave to make one attempt; hand it back to `record` with how it ended.

    Attributes:
        generation: Transition count when it was given: results of an earlier
            generation never move the state.
        era: Count of quarantines, forcings and releases, for behaviour evidence.
        at: Monotonic seconds when it was given.
        probe: True when it holds one of the half-open places.
        done: True once it was recorded.
    """

    __slots__ = ("at", "done", "era", "generation", "probe")

    def __init__(self, generation: int, era: int, at: float, *, probe: bool) -> None:
        self.generation = generation
        self.era = era
        self.at = at
        self.probe = probe
        self.done = False


class Machine:
    """The pure state machine of one breaker.

    Args:
        policy: Its thresholds.
        rng: Returns uniform random numbers in [0, 1), for jitter.
        moved: Called after every transition with the old state and the time.
    """

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        rng: Callable[[], float],
        moved: Callable[[State, float], None],
    ) -> None:
        self._rng = rng
        self._moved = moved
        self.state = State.CLOSED
        self.reason = ""
        self.actor = BREAKER
        self.generation = self.era = self.openings = 0
        self.admitted = self.rejected = self.stale = 0
        self.since = self.until = self.hold = self.open_lasted = 0.0
        self.leases: dict[Permit, float] = {}
        self.configure(policy)

    def configure(self, policy: BreakerPolicy) -> None:
        """Take other thresholds, with empty ledgers and the state as it is."""
        self.policy = policy
        self.window = Window(policy.window)
        self.run = self.probes_good = 0
        self.probe_test = probe_test(policy)
        self.detector = EDetector(p0=policy.p0, threshold=policy.threshold)
        self.own_calls = self.own_fails = 0
        self.reserves = self.wanted = False
        self.seen = SeenInputs(size=policy.remember_inputs, seconds=policy.remember_for)

    # --- admission

    def admit(self, now: float, lease: float | None) -> Permit | None:
        """Return a permit, or None when nobody is admitted now."""
        if self.state in _ADMITS_ALL:
            self.admitted += 1
            return Permit(self.generation, self.era, now, probe=False)
        if self.state is State.OPEN and now >= max(self.until, self.hold):
            if self.reserves:
                self.wanted = True
            else:
                self.move(_HALF_OPEN, now, self.reason)
        permit = None
        if self.state is _HALF_OPEN:
            permit = self._probe(now, lease or self.policy.probe_lease)
        self.admitted += permit is not None
        self.rejected += permit is None
        return permit

    def _probe(self, now: float, lease: float) -> Permit | None:
        for lost in [p for p, ends in self.leases.items() if ends <= now]:
            del self.leases[lost]
        if len(self.leases) >= self.policy.probes:
            return None
        permit = Permit(self.generation, self.era, now, probe=True)
        self.leases[permit] = now + lease
        return permit

    def retry_after(self, now: float) -> float | None:
        """Return seconds until a probe may be admitted; None when only a person can."""
        if self.state is State.OPEN:
            return max(max(self.until, self.hold) - now, 0.0)
        if self.state is State.HALF_OPEN:
            ends = sorted(end for end in self.leases.values() if end > now)
            return ends[0] - now if len(ends) >= self.policy.probes else 0.0
        return 0.0 if self.state in _ADMITS_ALL else None

    # --- the infrastructure ledger

    def settle(
        self, permit: Permit, kind: Kind, elapsed: float, now: float, why: str
    ) -> None:
        """Count how one attempt ended; late results of an old generation do nothing."""
        if permit.probe:
            self.leases.pop(permit, None)
        if permit.generation != self.generation:
            self.stale += 1
            return
        signal = _SIGNAL[kind]
        slow = elapsed >= self.policy.slow_call
        if signal is _IGNORE and not (slow and kind is _CANCELLED):
            return
        if self.state is _HALF_OPEN:
            self._vote(now, failed=slow or signal is _FAILURE, why=why)
        else:
            self._count(now, signal, slow=slow, why=why)

    def fact(self, permit: Permit, now: float, why: str, *, gone: bool) -> None:
        """Act on one attempt that proved another version, or none, is served."""
        self.leases.pop(permit, None)
        if permit.generation != self.generation:
            self.stale += 1
        elif gone:
            self.trip(now, f"{GONE}: {why}")
        else:
            self.quarantine(now, f"another version answered than the pin names: {why}")

    def _count(self, now: float, signal: Signal, *, slow: bool, why: str) -> None:
        failed = signal is _FAILURE
        window = self.window
        window.add(now, failed=failed, slow=slow)
        if signal is not _IGNORE:
            self.run = self.run + 1 if failed else 0
        if not (window.failures or window.slow) or self.state is not _CLOSED:
            return
        if reason := self._overload():
            self.trip(now, f"{reason} (last: {why})")

    def _overload(self) -> str:
        """Return why the ledger asks for the breaker to open, or nothing."""
        policy, window = self.policy, self.window
        if self.run >= policy.consecutive:
            return f"{self.run} infrastructure failures in a row"
        if window.calls < policy.min_calls:
            return ""
        if window.failures >= policy.failure_rate * window.calls:
            return f"{window.failures} of {window.calls} calls failed"
        if window.slow >= policy.slow_rate * window.calls:
            return f"{window.slow} of {window.calls} calls were slow"
        return ""

    def healthy(self, now: float) -> bool:
        """Tell whether recent calls of this process say that the version is well."""
        self.window.roll(now)
        return self.window.calls >= self.policy.min_calls and not self._overload()

    def _vote(self, now: float, *, failed: bool, why: str) -> None:
        closes = self.probe_test.vote(failed=failed)
        self.probes_good += not failed
        if closes:
            self.move(State.CLOSED, now, "probes succeeded")
        elif closes is False:
            self.trip(now, f"probes failed (last: {why})")

    # --- the behaviour ledger

    def observe(self, fingerprint: bytes | str, *, failed: bool, now: float) -> bool:
        """Count a first attempt's verdict, once per input; True when it quarantined."""
        watching = self.policy.behaviour and self.state in AUTOMATIC
        if not watching or not self.seen.add(fingerprint, now):
            return False
        self.own_calls += 1
        self.own_fails += failed
        tripped = self.detector.update(failed=failed)
        return tripped and self._judge(now)

    def observe_batch(self, *, calls: int, fails: int, now: float) -> bool:
        """Count verdicts pooled elsewhere; True when they quarantined."""
        if not self.policy.behaviour or self.state not in AUTOMATIC:
            return False
        tripped = self.detector.update_batch(calls=calls, fails=fails)
        return tripped and self._judge(now)

    def _judge(self, now: float) -> bool:
        detector = self.detector
        reason = (
            f"behaviour: {detector.fails} of {detector.calls} distinct inputs broke "
            f"the contract; normal is at most {detector.p0:.1%}"
        )
        return self.quarantine(now, reason)

    # --- transitions

    def trip(self, now: float, reason: str, actor: str = BREAKER) -> bool:
        """Open for a while; True when that changed anything."""
        if self.state not in (State.CLOSED, State.HALF_OPEN):
            return False
        # A recovery that did not outlast the open period before it was none.
        if self.state is State.CLOSED and now - self.since >= self.open_lasted:
            self.openings = 0
        lasts = self.policy.open_period(self.openings, u=self._rng())
        self.openings += 1
        self.open_lasted = lasts
        self.move(State.OPEN, now, reason, actor, until=now + lasts)
        return True

    def quarantine(self, now: float, reason: str, actor: str = BREAKER) -> bool:
        """Admit nobody until a person releases it; True when that changed anything.

        Evidence does not override a person: only a person's own call quarantines a
        breaker that was forced.
        """
        if self.state is State.QUARANTINED:
            return False
        if self.state not in AUTOMATIC and actor == BREAKER:
            return False
        self.move(State.QUARANTINED, now, reason, actor)
        return True

    def force_open(self, now: float, reason: str, actor: str) -> bool:
        """Admit nobody; True when that changed anything.

        A quarantined breaker stays so: it admits nobody already, and the quarantine
        must not be lost when the force is released.
        """
        if self.state in (State.FORCED_OPEN, State.QUARANTINED):
            return False
        self.move(State.FORCED_OPEN, now, reason, actor)
        return True

    def force_closed(self, now: float, reason: str, actor: str) -> bool:
        """Admit everybody; True when that changed anything."""
        if self.state is State.FORCED_CLOSED:
            return False
        self.move(State.FORCED_CLOSED, now, reason, actor)
        return True

    def half_open(self, now: float, reason: str, actor: str) -> bool:
        """Admit probes now; True when that changed anything."""
        if self.state not in (State.CLOSED, State.OPEN):
            return False
        self.move(State.HALF_OPEN, now, reason, actor)
        return True

    def release(self, now: float, reason: str, actor: str) -> bool:
        """Close it from any state, backing off anew; True when it was not closed."""
        if self.state is State.CLOSED:
            return False
        self.openings = 0
        self.open_lasted = 0.0
        self.move(State.CLOSED, now, reason, actor)
        return True

    def move(
        self,
        state: State,
        now: float,
        reason: str,
        actor: str = BREAKER,
        until: float = 0.0,
    ) -> None:
        """Enter `state`: a new generation, no leases, an empty window."""
        old = self.state
        self.state, self.reason, self.actor = state, reason, actor
        self.since, self.until, self.hold = now, until, 0.0
        self.generation += 1
        self.leases.clear()
        self.window.clear()
        self.run = self.probes_good = 0
        self.wanted = False
        self.probe_test.reset()
        if old not in AUTOMATIC or state not in AUTOMATIC:
            self.era += 1
            self.detector.reset()
        self._moved(old, now)
