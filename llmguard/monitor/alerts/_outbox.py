"""A bounded queue between those who send alerts and those who deliver them.

Alerts with one key are one alert: it goes out again only when it grows more severe,
when it is over, or when nobody has repaired it for `repeat` seconds. Deliveries that
fail are tried again with growing pauses; one sink's failure holds up no other's.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from ...clock import SYSTEM_CLOCK, Clock
from ._alert import RANKS, Alert

__all__ = ["Outbox", "OutboxCounts", "RetryLaterError", "Sink"]

_LOG: Final = logging.getLogger("llmguard.alerts")
_CAPACITY: Final = 256
_KEYS: Final = 1_000
REPEAT: Final = 4 * 3600.0
BACKOFF: Final = (5.0, 30.0, 120.0, 600.0, 1800.0)
"""Seconds before the second try, the third, ...: an endpoint may be away for 40 min."""


class RetryLaterError(Exception):
    """A sink could not deliver now.

    Args:
        reason: One line.
        after: Seconds the receiver asks to wait; None when it did not say.
    """

    def __init__(self, reason: str, *, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Sink(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """How the log and `llmguard doctor` call it."""
        ...

    def deliver(self, alert: Alert, *, delivery: str, at: float) -> None:
        """Deliver one alert; the id of the delivery stays the same when it is retried.

        Raises:
            RetryLaterError: Try again later; whatever else it raises ends the delivery.
        """
        ...


@dataclass(slots=True, kw_only=True)
class OutboxCounts:
    """What became of the alerts so far.

    Attributes:
        delivered: Deliveries that a sink took.
        repeated: Alerts not sent, since the same one had been.
        retried: Tries that failed and are, or were, made again.
        failed: Deliveries given up.
        dropped: Deliveries that found the outbox full.
    """

    delivered: int = 0
    repeated: int = 0
    retried: int = 0
    failed: int = 0
    dropped: int = 0


@dataclass(slots=True, kw_only=True, order=True)
class _Parcel:
    due: float
    order: int
    sink: Sink | None = field(compare=False)
    alert: Alert = field(compare=False)
    delivery: str = field(compare=False)
    tries: int = field(default=0, compare=False)


class Outbox:
    """Takes alerts from any thread; delivers when `step` is called, or by its thread.

    Args:
        clock: Where the time comes from.
        capacity: Deliveries that may wait, over all sinks.
        repeat: Seconds after which an alert that still holds is sent again.
        threaded: Deliver on a daemon thread, started by the first alert.
        claim: Asked on the delivering thread before an alert goes out; False when
            another process sent it.
    """

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        capacity: int = _CAPACITY,
        repeat: float = REPEAT,
        threaded: bool = True,
        claim: Callable[[Alert], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._repeat = repeat
        self._threaded = threaded
        self._claim = claim
        self._order = itertools.count()
        self.sinks: tuple[Sink, ...] = ()
        self.counts = OutboxCounts()
        self.renew()

    def renew(self) -> None:
        """Start with nothing waiting and no thread, as a forked child does."""
        self._changed = threading.Condition()
        self._waiting: list[_Parcel] = []
        self._busy = False
        self._last: OrderedDict[str, tuple[Alert, float]] = OrderedDict()
        self._thread: threading.Thread | None = None

    def forget(self) -> None:
        """Drop what waits and what was sent, for tests; the thread stays."""
        with self._changed:
            self._waiting.clear()
            self._last.clear()

    def offer(self, alert: Alert) -> bool:
        """Take an alert; False when the same one was taken before, or nothing fits."""
        now = self._clock.monotonic()
        with self._changed:
            if not self._is_news(alert, now):
                self.counts.repeated += 1
                return False
            if not self.sinks and self._claim is None:
                return False
            if not self._put(alert, None, now):
                return False
            self._remember(alert, now)
            if self._threaded and self._thread is None:
                self._start()
            self._changed.notify_all()
        return True

    def _put(self, alert: Alert, sink: Sink | None, due: float) -> bool:
        if len(self._waiting) >= self._capacity:
            self.counts.dropped += 1
            return False
        order = next(self._order)
        delivery = f"{_digest(alert)}-{order}"
        parcel = _Parcel(
            due=due, order=order, sink=sink, alert=alert, delivery=delivery
        )
        heapq.heappush(self._waiting, parcel)
        return True

    def step(self) -> float | None:
        """Deliver what is due; return the seconds until more is, None for nothing."""
        while True:
            with self._changed:
                if not self._waiting:
                    return None
                wait = self._waiting[0].due - self._clock.monotonic()
                if wait > 0:
                    return wait
                parcel = heapq.heappop(self._waiting)
                self._busy = True
            try:
                self._deliver(parcel)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until nothing that is due waits; False when `timeout` ran out first."""

        def idle() -> bool:
            now = self._clock.monotonic()
            return not self._busy and all(p.due > now for p in self._waiting)

        if not self._threaded:
            self.step()
        with self._changed:
            return self._changed.wait_for(idle, timeout)

    def recent(self) -> list[Alert]:
        """Return the last alert of every key, oldest first."""
        with self._changed:
            return [alert for alert, _ in self._last.values()]

    def _is_news(self, alert: Alert, now: float) -> bool:
        before = self._last.get(alert.key)
        if before is not None:
            return _differs(before, alert, now, self._repeat)
        # Unless another process may have told, nobody knows yet that it began.
        return not alert.resolved or self._claim is not None

    def _announce(self, alert: Alert) -> None:
        """Hand a new alert to every sink, unless another process does."""
        try:
            if self._claim is not None and not self._claim(alert):
                self.counts.repeated += 1
                return
        except Exception as error:  # noqa: BLE001 - twice is better than never
            _LOG.warning("cannot ask whether %s was sent: %s", alert.key, error)
        now = self._clock.monotonic()
        with self._changed:
            for sink in self.sinks:
                self._put(alert, sink, now)

    def _remember(self, alert: Alert, now: float) -> None:
        self._last[alert.key] = (alert, now)
        self._last.move_to_end(alert.key)
        while len(self._last) > _KEYS:
            self._last.popitem(last=False)

    def _deliver(self, parcel: _Parcel) -> None:
        sink = parcel.sink
        if sink is None:
            self._announce(parcel.alert)
            return
        parcel.tries += 1
        try:
            sink.deliver(parcel.alert, delivery=parcel.delivery, at=self._clock.time())
        except RetryLaterError as error:
            self._again(parcel, sink, error)
        except Exception as error:  # noqa: BLE001 - a sink is foreign code
            self.counts.failed += 1
            _LOG.warning("%s did not take an alert: %r", sink.name, error)
        else:
            self.counts.delivered += 1

    def _again(self, parcel: _Parcel, sink: Sink, error: RetryLaterError) -> None:
        if parcel.tries > len(BACKOFF):
            self.counts.failed += 1
            _LOG.error("%s took no alert, giving up: %s", sink.name, error)
            return
        self.counts.retried += 1
        pause = BACKOFF[parcel.tries - 1]
        if error.after is not None:
            pause = min(max(pause, error.after), BACKOFF[-1])
        parcel.due = self._clock.monotonic() + pause
        with self._changed:
            heapq.heappush(self._waiting, parcel)
        if parcel.tries == 1:
            _LOG.warning("%s: %s; trying again", sink.name, error)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="llmguard-alerts", daemon=True)
        with suppress(RuntimeError):  # no more threads: the next alert tries again
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            pause = self.step()
            with self._changed:
                if not self._waiting or self._waiting[0].due > self._clock.monotonic():
                    self._changed.wait(pause)


def _differs(
    before: tuple[Alert, float], alert: Alert, now: float, repeat: float
) -> bool:
    last, at = before
    if alert.resolved or last.resolved:
        return alert.resolved != last.resolved
    return RANKS[alert.severity] > RANKS[last.severity] or now - at >= repeat


def _digest(alert: Alert) -> str:
    import hashlib

    text = f"{alert.key}\0{alert.since!r}\0{alert.severity}\0{alert.resolved}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]
