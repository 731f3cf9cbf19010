"""Metrics: counts are read when they are collected, histograms fed by a thread.

One `record()` takes some 12 microseconds, so no call makes one: it appends to a
bounded queue. What is exact (calls, attempts, objectives) comes from the tally by
observable counters, at no cost to any call.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ...outcome import Attempt, Kind
from ..families import Family, families, sourced
from ..tally import BOUNDS, TALLY
from ..tracing import AttemptStart
from ._names import Names

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

__all__ = ["Recorder"]

_CAPACITY: Final = 4_096
_PERIOD: Final = 1.0
_TOKENS: Final = tuple(float(4**k) for k in range(14))
_ATTEMPTED: Final = frozenset({Kind.SKIPPED, Kind.OPEN, Kind.CANCELLED})


class Recorder:
    """The instruments of one meter.

    Args:
        meter: Where they are made.
        names: Of the profile.
        capacity: Measurements that may wait for the thread; more are dropped, counted
            in `llmguard.telemetry.dropped`.
    """

    def __init__(
        self, meter: Meter, *, names: Names, capacity: int = _CAPACITY
    ) -> None:
        self._names = names
        self._capacity = capacity
        self.dropped = 0
        self._meter = meter
        self._duration = meter.create_histogram(
            names.duration,
            unit="s",
            description="Duration of one attempt of a model.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        self._usage = self._tokens(names.usage_histogram)
        self._directed = (
            self._tokens(names.usage_in),
            self._tokens(names.usage_out),
        )
        self._observe(names)
        self.renew()

    def renew(self) -> None:
        """Start with nothing waiting and no thread, as a forked child does."""
        self._waiting: deque[tuple[AttemptStart, Attempt]] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def __call__(self, start: AttemptStart, attempt: Attempt) -> None:
        """Take one attempt of a model; never blocks."""
        if attempt.kind in _ATTEMPTED:
            return
        if len(self._waiting) >= self._capacity:
            self.dropped += 1
            return
        self._waiting.append((start, attempt))
        if self._thread is None:
            self._wake()

    def flush(self) -> None:
        """Record what waits, in this thread."""
        while self._waiting:
            try:
                start, attempt = self._waiting.popleft()
            except IndexError:  # the thread was faster
                return
            self._record(start, attempt)

    def stop(self) -> None:
        """Record what waits and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None:
            thread.join(timeout=2.0)
        self.flush()

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None:
                self._stop = threading.Event()
                thread = threading.Thread(
                    target=self._run,
                    args=(self._stop,),
                    name="llmguard-otel",
                    daemon=True,
                )
                with suppress(RuntimeError):  # no more threads: the next one tries
                    thread.start()
                    self._thread = thread

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_PERIOD):
            self.flush()

    def _record(self, start: AttemptStart, attempt: Attempt) -> None:
        n = self._names
        shared: dict[str, Any] = {
            n.operation: "chat",
            n.provider: start.provider,
            n.request_model: start.model,
        }
        if attempt.served_model is not None:
            shared[n.response_model] = attempt.served_model
        error = {} if attempt.kind is Kind.OK else {n.error_type: str(attempt.kind)}
        self._duration.record(attempt.elapsed, {**shared, **error})
        if attempt.usage is None:
            return
        counts = (attempt.usage.input_tokens, attempt.usage.output_tokens)
        for word, tokens, directed in zip(
            ("input", "output"), counts, self._directed, strict=True
        ):
            if tokens is None:
                continue
            if self._usage is not None:
                self._usage.record(tokens, {**shared, n.token_type: word})
            if directed is not None:
                directed.record(tokens, shared)

    def _tokens(self, name: str | None) -> Histogram | None:
        if name is None:
            return None
        return self._meter.create_histogram(
            name,
            unit="{token}",
            description="Tokens that the provider counted for one attempt.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def _observe(self, names: Names) -> None:
        """Make the counters that read the tally."""
        for family in [*families(TALLY.snapshot()), *sourced()]:
            if family.kind == "counter":
                self._counter(family.otel, family.unit, family.help, family.name)
            elif family.kind == "gauge":
                self._gauge(family.otel, family.unit, family.help, family.name)
        for name, word in (
            (names.usage_in_total, "input"),
            (names.usage_out_total, "output"),
        ):
            if name is not None:
                self._meter.create_observable_counter(
                    name,
                    callbacks=[partial(_tokens_of, word)],
                    unit="{token}",
                    description="Tokens that providers counted.",
                )
        self._meter.create_observable_counter(
            "llmguard.telemetry.dropped",
            callbacks=[lambda _: _observations([((), self.dropped)])],
            unit="{measurement}",
            description="Measurements that found the queue full.",
        )

    def _counter(self, otel: str, unit: str, about: str, name: str) -> None:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return _observations(_samples(name))

        self._meter.create_observable_counter(
            otel, callbacks=[read], unit=unit, description=about
        )

    def _gauge(self, otel: str, unit: str, about: str, name: str) -> None:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return _observations(_samples(name))

        self._meter.create_observable_gauge(
            otel, callbacks=[read], unit=unit, description=about
        )


_Pairs = tuple[tuple[str, str], ...]


def _samples(name: str) -> list[tuple[_Pairs, float]]:
    found: list[Family] = [*families(TALLY.snapshot()), *sourced()]
    return [
        (sample.labels, sample.value)
        for family in found
        if family.name == name
        for sample in family.samples
    ]


def _tokens_of(word: str, _: CallbackOptions) -> Iterable[Observation]:
    sums: dict[str, float] = {}
    for labels, value in _samples("llmguard_tokens"):
        given = dict(labels)
        if given["type"] == word:
            sums[given["pin"]] = sums.get(given["pin"], 0.0) + value
    return _observations([((("pin", pin),), n) for pin, n in sums.items()])


def _observations(pairs: Iterable[tuple[_Pairs, float]]) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    return [Observation(value, dict(labels)) for labels, value in pairs]
