"""The circuit breaker of one function on one pinned model version."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import pybreaker

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import LLMGuardError, TierFailedError
from ..outcome import POLICY, Kind, Signal
from ._calls import Calls
from ._classic import CLASSIC, Classic, StateView
from ._events import Delivery, Transition
from ._forks import track
from ._machine import BREAKER, Machine, Permit
from ._share import Share
from ._stored import StoreSide
from .policy import BreakerPolicy, State
from .snapshot import BreakerSnapshot, refusal, snapshot_of

if TYPE_CHECKING:
    pass

__all__ = ["VersionBreaker", "breaker_key"]

_DEFAULT = BreakerPolicy()
_BEHAVIOUR = {kind: policy.behaviour for kind, policy in POLICY.items()}
_FAILURE, _IGNORE = Signal.FAILURE, Signal.IGNORE
_WRONG_MODEL, _QUARANTINED = Kind.WRONG_MODEL, State.QUARANTINED


def breaker_key(function: str, pin: str) -> str:
    """Return the key of a breaker: `function|pin id`."""
    return f"{function}|{pin}"


class VersionBreaker(Classic, Calls, StoreSide):
    """A circuit breaker that is asked first and told after, and locks only for that.

    It is a `pybreaker.CircuitBreaker`: its state names, error type and listeners
    work, and so do `call`, `calling` and the decorator. Underneath, `acquire` gives a
    permit for one attempt and `record` takes it back with how it ended; `observe`
    feeds the behaviour detector. All three take microseconds, never block on input
    or output (but see `persist`), and may be called from any thread or event loop.

    Args:
        key: `function|pin id`; see `breaker_key`.
        policy: Thresholds.
        clock: Where it reads the time.
        rng: Returns uniform random numbers in [0, 1), for jitter.
        exclude: Exception classes or predicates that count as nothing.
        listeners: pybreaker listeners.
        classify: Returns the kind of an exception out of `call` and its kin.

    Attributes:
        persist: Called with the breaker when it was quarantined, before the call that
            caused it returns; the registry writes it to the store there.
    """

    _machine_type = Machine
    asked = 0
    """When the registry was last asked for it, in its own count of such questions."""

    def __init__(
        self,
        key: str,
        *,
        policy: BreakerPolicy = _DEFAULT,
        clock: Clock = SYSTEM_CLOCK,
        rng: Callable[[], float] = random.random,
        exclude: Iterable[Any] = (),
        listeners: Iterable[pybreaker.CircuitBreakerListener] = (),
        classify: Callable[[BaseException], Kind] | None = None,
    ) -> None:
        self._clock = clock
        self._machine = self._machine_type(policy, rng=rng, moved=self._moved)
        self._share = Share(key, self._machine, clock)
        self._events = Delivery()
        self._callbacks: tuple[Callable[[Transition], object], ...] = ()
        self._classify = classify
        self.persist: Callable[[VersionBreaker], object] | None = None
        self.wake: Callable[[], object] = _nothing
        super().__init__(
            name=key,
            exclude=list(exclude),
            listeners=list(listeners),
            state_storage=StateView(self._machine, self._share),
            throw_new_error_on_trip=False,
        )
        track(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r} {self.status.value}>"

    @property
    def key(self) -> str:
        """`function|pin id`."""
        return str(self.name)

    @property
    def status(self) -> State:
        """The state now; unlike pybreaker's, it knows quarantined and forced."""
        return self._machine.state

    @property
    def policy(self) -> BreakerPolicy:
        """The thresholds in force."""
        return self._machine.policy

    # --- the permit and its record

    def acquire(self, *, lease: float | None = None) -> Permit:
        """Ask for leave to make one attempt.

        Args:
            lease: Seconds after which a half-open probe that has not reported loses
                its place: the attempt's timeout; default `policy.probe_lease`.

        Raises:
            BreakerOpenError: Nobody is admitted now. It is a `CircuitOpenError` and
                a `pybreaker.CircuitBreakerError`.
        """
        with self._lock:
            now = self._clock.monotonic()
            permit = self._machine.admit(now, lease)
            if permit is None:
                if self._machine.wanted:
                    self.wake()
                raise refusal(self.key, self._machine, now)
        if self._events.pending:
            self._events.drain()
        return permit

    def record(
        self,
        permit: Permit,
        kind: Kind,
        *,
        elapsed: float | None = None,
        exc: BaseException | None = None,
        detail: str = "",
    ) -> None:
        """Hand a permit back; a second time changes nothing.

        `wrong_model` is a fact, not a statistic: it quarantines at once, or opens at
        once when `exc` says 404, because a model that is gone is not misbehaving.

        Args:
            permit: What `acquire` gave.
            kind: How the attempt ended.
            elapsed: Seconds it took; default: since `acquire`.
            exc: The exception it ended with, for listeners.
            detail: One line for people, shown as the reason of a trip.
        """
        self.report(permit, kind, elapsed=elapsed, exc=exc, detail=detail)

    def report(
        self,
        permit: Permit,
        kind: Kind,
        *,
        elapsed: float | None = None,
        exc: BaseException | None = None,
        detail: str = "",
        fingerprint: bytes | str | None = None,
    ) -> None:
        """Hand a permit back and, for a first attempt, feed the behaviour detector.

        It is `record` and then `observe`, under one lock.

        Args:
            permit: What `acquire` gave.
            kind: How the attempt ended.
            elapsed: As for `record`.
            exc: As for `record`.
            detail: As for `record`.
            fingerprint: Digest of the call's inputs; None for another than the first
                attempt, which says nothing about behaviour.
        """
        with self._lock:
            now = self._clock.monotonic()
            counted = not permit.done
            if counted:
                permit.done = True
                took = now - permit.at if elapsed is None else elapsed
                if kind is _WRONG_MODEL:
                    why = detail or _named(exc) or kind
                    self._machine.fact(permit, now, why, gone=_says_gone(exc))
                else:
                    self._machine.settle(permit, kind, took, now, detail or kind)
                if self._listeners:
                    self._tell_outcome(kind, exc)
            if fingerprint is not None and self._observe(
                fingerprint, kind, permit, now
            ):
                counted = True
        if counted:
            self._after()

    def observe(
        self, fingerprint: bytes | str, kind: Kind, *, permit: Permit | None = None
    ) -> None:
        """Feed the behaviour detector with a first attempt's verdict.

        Report first attempts only: a re-ask that repairs an answer must not hide that
        it was wrong. The same fingerprint counts once per `policy.remember_for`.

        Args:
            fingerprint: Digest of the call's inputs.
            kind: The verdict; kinds that say nothing about behaviour are ignored.
            permit: The attempt's permit; its verdict is ignored when a person has
                released or forced the breaker since.
        """
        with self._lock:
            now = self._clock.monotonic()
            counted = self._observe(fingerprint, kind, permit, now)
        if counted:
            self._after()

    def _observe(
        self, fingerprint: bytes | str, kind: Kind, permit: Permit | None, now: float
    ) -> bool:
        """Feed the detector, under the lock; False when the verdict is ignored."""
        signal = _BEHAVIOUR[kind]
        machine = self._machine
        if signal is _IGNORE or (permit is not None and permit.era != machine.era):
            return False
        machine.observe(fingerprint, failed=signal is _FAILURE, now=now)
        return True

    def observe_batch(self, *, calls: int, fails: int) -> None:
        """Feed the behaviour detector with counts that were pooled elsewhere."""
        with self._lock:
            now = self._clock.monotonic()
            self._machine.observe_batch(calls=calls, fails=fails, now=now)
        self._after()

    # --- commands; each returns True when it changed the state

    def trip(self, reason: str, actor: str = BREAKER) -> bool:
        """Open it for a while, as if the infrastructure had failed."""
        return self._command(self._machine.trip, reason, actor)

    def quarantine(self, reason: str, actor: str = BREAKER) -> bool:
        """Admit nobody until a person releases it; durable when there is a store."""
        return self._command(self._machine.quarantine, reason, actor)

    def force_open(self, reason: str, actor: str) -> bool:
        """Admit nobody until released; a quarantined breaker stays quarantined."""
        return self._command(self._machine.force_open, reason, actor)

    def force_closed(self, reason: str, actor: str) -> bool:
        """Admit everybody until released, whatever happens; lifts a quarantine."""
        return self._command(self._machine.force_closed, reason, actor)

    def release(self, reason: str, actor: str) -> bool:
        """Close it from any state: lifts a force, a quarantine, an open period."""
        return self._command(self._machine.release, reason, actor)

    def reconfigure(self, policy: BreakerPolicy) -> None:
        """Take other thresholds; the state stays, the ledgers start empty."""
        with self._lock:
            self._machine.configure(policy)

    def _command(
        self, act: Callable[[float, str, str], bool], reason: str, actor: str
    ) -> bool:
        with self._lock:
            changed = act(self._clock.monotonic(), reason, actor)
        self._after()
        return changed

    # --- telling others

    def on_transition(self, callback: Callable[[Transition], object]) -> None:
        """Call `callback` after every change of state, in order, outside the lock.

        What it raises is swallowed and counted in `snapshot().listener_errors`.
        """
        with self._lock:
            self._callbacks += (callback,)

    def announce(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Tell pybreaker listeners that a call begins."""
        for listener in self._heard():
            told = functools.partial(listener.before_call, self, func, *args, **kwargs)
            self._events.put(told)
        self._events.drain()

    def snapshot(self) -> BreakerSnapshot:
        """Return everything worth showing, as of now."""
        with self._lock:
            now = self._clock.monotonic()
            return snapshot_of(self.key, self._machine, self._share, self._events, now)

    def _after(self) -> None:
        """Do, without the lock, what a change under the lock has left to do."""
        if self._machine.state is _QUARANTINED and self._share.dirty:
            self._save()
        if self._events.pending:
            self._events.drain()

    def _heard(self) -> tuple[Any, ...]:
        return cast("tuple[Any, ...]", self.listeners)  # pyright: ignore[reportUnknownMemberType]  # - the base leaves its type open

    def _save(self) -> None:
        if self.persist is not None:
            self.persist(self)

    def _moved(self, old: State, now: float) -> None:
        machine, share = self._machine, self._share
        share.moved(now)
        transition = Transition(
            key=self.key,
            old=old,
            new=machine.state,
            reason=machine.reason,
            actor=machine.actor,
            at=share.since,
            until=share.until,
            generation=machine.generation,
        )
        for callback in self._callbacks:
            self._events.put(callback, transition)
        if self._listeners and CLASSIC[old] != CLASSIC[machine.state]:
            states = self.classic_state(CLASSIC[old]), self.state
            for listener in self._heard():
                self._events.put(listener.state_change, self, *states)

    def _tell_outcome(self, kind: Kind, exc: BaseException | None) -> None:
        signal = POLICY[kind].infra
        for listener in self._heard():
            if signal is Signal.SUCCESS:
                self._events.put(listener.success, self)
            elif signal is Signal.FAILURE:
                error = exc or TierFailedError(f"attempt ended in {kind}", kind=kind)
                self._events.put(listener.failure, self, error)

    # --- forks

    def hold(self) -> None:
        """Take the lock before a fork."""
        self._lock.acquire()

    def let_go(self) -> None:
        """Release it in the parent."""
        self._lock.release()

    def restart(self) -> None:
        """Start with a free lock and no pending events in the child."""
        self._lock = threading.RLock()
        self._machine.own_calls = self._machine.own_fails = 0
        self._events.reset()


def _nothing() -> None:
    """Do nothing: nobody reserves probes."""


def _named(exc: BaseException | None) -> str:
    """Name an exception; only our own may speak, a provider's may quote keys."""
    if isinstance(exc, LLMGuardError):
        return str(exc)
    return type(exc).__name__ if exc is not None else ""


def _says_gone(exc: BaseException | None) -> bool:
    """Tell whether an SDK's exception, or its cause, is an HTTP 404."""
    chain = (exc, exc.__cause__ if exc else None)
    return any(getattr(e, "status_code", None) == 404 for e in chain)  # noqa: PLR2004 - the HTTP status
