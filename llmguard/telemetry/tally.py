"""Exact counts of what happened since the process started, per function and version.

A call adds to a few numbers in memory, under one lock, and nothing is sampled.
The keeper moves the growth to the store, Prometheus reads it as it is, OpenTelemetry
gets it once a second: all from the same numbers.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Final, NamedTuple

from ..outcome import Kind, Outcome
from .objectives import thresholds

__all__ = [
    "BOUNDS",
    "OTHER",
    "TALLY",
    "AttemptKey",
    "CallKey",
    "Cell",
    "Count",
    "Snapshot",
    "Tally",
]

BOUNDS: Final = tuple(0.01 * 2**k for k in range(14))
"""Upper edges of the latency histograms in seconds, 0.01 to 81.92, as the semantic
conventions for generative AI advise."""
OTHER: Final = "_other"
"""Stands for the names of what came after the process had counted too many things."""

_MAX_SERIES: Final = 2_000


class AttemptKey(NamedTuple):
    """What attempts are counted by; `first` is False for retries and re-asks."""

    function: str
    tier: str
    pin: str
    kind: str
    first: bool


class CallKey(NamedTuple):
    """What calls are counted by.

    Attributes:
        function: Qualified name.
        asked: The version that was asked first; empty when none was.
        tier: The tier that answered; empty when none did.
        answered: The version that answered; empty when no model did.
        word: `ok`, `degraded`, `deferred`, or the kind of failure.
    """

    function: str
    asked: str
    tier: str
    answered: str
    word: str


class Count(NamedTuple):
    """What one number in the store is about.

    Attributes:
        function: Qualified name.
        pin: The version.
        tier: The tier, for `attempt`.
        measure: `first` (first attempts by kind), `attempt` (all, by kind), `call` (by
            word, under the version asked first), `answer` (answers of a version),
            `within` (answered calls not slower than a threshold), `signal` (what
            people and programs said later); and, as totals only, `bucket`
            (answered calls by upper edge), `micros` (their time, microseconds),
            `tokens` (`input`, `output`).
        label: See `measure`.
    """

    function: str
    pin: str
    tier: str
    measure: str
    label: str


class Cell:
    """Number, time, tokens and histogram of one kind of event."""

    __slots__ = ("bounds", "buckets", "n", "seconds", "tokens_in", "tokens_out")

    def __init__(self, bounds: tuple[float, ...] = BOUNDS) -> None:
        self.n = 0
        self.seconds = 0.0
        self.tokens_in = 0
        self.tokens_out = 0
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)

    def copy(self) -> Cell:
        """Return one that does not grow."""
        twin = Cell(self.bounds)
        twin.n, twin.seconds = self.n, self.seconds
        twin.tokens_in, twin.tokens_out = self.tokens_in, self.tokens_out
        twin.buckets = self.buckets.copy()
        return twin


class Snapshot(NamedTuple):
    """What was counted up to a moment."""

    attempts: Mapping[AttemptKey, Cell]
    calls: Mapping[CallKey, Cell]
    signals: Mapping[tuple[str, str, str], int]


class Tally:
    """The counts; a telemetry hook, usable from any thread.

    Args:
        limit: Distinct keys held per kind of event; more would mean labels that are
            not bounded. What comes after it is counted under `_other`.
    """

    __slots__ = ("_attempts", "_calls", "_limit", "_lock", "_signals")

    def __init__(self, *, limit: int = _MAX_SERIES) -> None:
        self._limit = limit
        self.renew()

    def renew(self) -> None:
        """Start from zero, as a forked child does: what it holds is its parent's."""
        self._lock = threading.Lock()
        self._attempts: dict[tuple[str, str, str, str, bool], Cell] = {}
        self._calls: dict[tuple[str, str, str, str, str], Cell] = {}
        self._signals: dict[tuple[str, str, str], int] = {}

    def __call__(self, outcome: Outcome) -> None:
        """Count one finished call and its attempts."""
        function, attempts = outcome.function, outcome.attempts
        pin = ""
        with self._lock:
            for a in attempts:
                first = a.number == 1 and not a.reask
                key = (function, a.tier, a.pin, a.kind.value, first)
                cell = self._attempts.get(key)
                if cell is None:
                    cell = self._new_attempt(key)
                cell.n += 1
                cell.seconds += a.elapsed
                cell.buckets[bisect_left(BOUNDS, a.elapsed)] += 1
                if a.usage is not None:
                    cell.tokens_in += a.usage.input_tokens or 0
                    cell.tokens_out += a.usage.output_tokens or 0
                pin = a.pin
            asked = attempts[0].pin if attempts else ""
            if outcome.kind is Kind.OK:
                word = "degraded" if outcome.tier_index else "ok"
                call = (function, asked, outcome.tier, pin, word)
            else:
                word = "deferred" if outcome.ticket_id else outcome.kind.value
                call = (function, asked, "", "", word)
            cell = self._calls.get(call)
            if cell is None:
                cell = self._new_call(call)
            cell.n += 1
            cell.seconds += outcome.elapsed
            cell.buckets[bisect_left(cell.bounds, outcome.elapsed)] += 1

    def signal(self, function: str, pin: str, name: str, n: int = 1) -> None:
        """Count what was said of a version's answer later.

        Args:
            function: Qualified name.
            pin: The version that answered.
            name: `corrected`, `rejected`, or another short word.
            n: How often.
        """
        with self._lock:
            key = (function, pin, name)
            if key not in self._signals and len(self._signals) >= self._limit:
                key = (
                    OTHER,
                    OTHER,
                    name if name in {"corrected", "rejected"} else OTHER,
                )
            self._signals[key] = self._signals.get(key, 0) + n

    def snapshot(self) -> Snapshot:
        """Return copies of all counts, taken at one moment."""
        with self._lock:
            return Snapshot(
                {AttemptKey(*key): cell.copy() for key, cell in self._attempts.items()},
                {CallKey(*key): cell.copy() for key, cell in self._calls.items()},
                dict(self._signals),
            )

    def _new_attempt(self, key: tuple[str, str, str, str, bool]) -> Cell:
        if len(self._attempts) >= self._limit:
            key = (OTHER, OTHER, OTHER, key[3], key[4])
        return self._attempts.setdefault(key, Cell())

    def _new_call(self, key: tuple[str, str, str, str, str]) -> Cell:
        if len(self._calls) >= self._limit:
            key = (OTHER, OTHER, OTHER, OTHER, key[4])
        edges = (*BOUNDS, *thresholds(key[0]))
        return self._calls.setdefault(key, Cell(tuple(sorted(set(edges)))))


def rows(snapshot: Snapshot) -> Counter[Count]:
    """Return a snapshot as the numbers that the store keeps."""
    found: Counter[Count] = Counter()
    for key, cell in snapshot.attempts.items():
        function, tier, pin, kind, first = key
        found[Count(function, pin, tier, "attempt", kind)] += cell.n
        if first and pin:
            found[Count(function, pin, "", "first", kind)] += cell.n
        for label, n in (("input", cell.tokens_in), ("output", cell.tokens_out)):
            if n:
                found[Count(function, pin, "", "tokens", label)] += n
    for call, cell in snapshot.calls.items():
        found[Count(call.function, call.asked, call.tier, "call", call.word)] += cell.n
        if call.answered:
            found[Count(call.function, call.answered, "", "answer", "")] += cell.n
        if call.word in {"ok", "degraded"}:
            found.update(_latency(call, cell))
    for (function, pin, name), n in snapshot.signals.items():
        found[Count(function, pin, "", "signal", name)] += n
    return found


def _latency(call: CallKey, cell: Cell) -> dict[Count, int]:
    found: dict[Count, int] = {}
    for edge, n in zip((*cell.bounds, float("inf")), cell.buckets, strict=True):
        if n:
            found[Count(call.function, call.asked, "", "bucket", f"{edge:g}")] = n
    for limit in thresholds(call.function):
        # Of a cell made before the threshold was declared: its next lower edge.
        inside = sum(
            n
            for edge, n in zip(cell.bounds, cell.buckets, strict=False)
            if edge <= limit
        )
        found[Count(call.function, call.asked, "", "within", f"{limit:g}")] = inside
    key = Count(call.function, call.asked, "", "micros", "")
    found[key] = round(cell.seconds * 1e6)
    return found


TALLY: Final = Tally()
"""The counts of this process; told of calls once somebody wants them counted."""

if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=TALLY.renew)
