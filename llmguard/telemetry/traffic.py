"""What models said they were, and how arms did: counted per call, moved by the keeper.

Like the counts of `activity`: a call adds to dicts in memory, and a store that is down
costs nothing but time until what waits is written.
"""

from __future__ import annotations

import math
import threading
from dataclasses import field
from typing import Final

from .._dataclass import dataclass
from ..outcome import POLICY, Attempt, Kind, Outcome, Signal, Usage

__all__ = [
    "TRAFFIC",
    "ArmKey",
    "EchoKey",
    "Exposure",
    "Held",
    "Measures",
    "Traffic",
    "bin_edges",
    "latency_bin",
]

_BUCKET: Final = 300
_HOUR: Final = 3600
_MAX_ROWS: Final = 10_000
"""Distinct rows of each kind held between two flushes."""
_STEP: Final = math.log(1.1)
_SMALLEST: Final = 1e-4
_ANSWERED: Final = frozenset(
    {
        Kind.OK,
        Kind.REFUSAL,
        Kind.TRUNCATED,
        Kind.FILTERED,
        Kind.EMPTY,
        Kind.BAD_JSON,
        Kind.SCHEMA,
        Kind.SEMANTIC,
        Kind.LOW_CONFIDENCE,
    }
)
"""How an attempt ends that got an answer, which could have said who gave it."""
_NOT_ASKED: Final = frozenset({Kind.OPEN, Kind.SKIPPED})

EchoKey = tuple[int, str, str, str]
"""Five minutes since the epoch, pin, echoed model, fingerprint."""
ArmKey = tuple[int, str, str, str]
"""Hours since the epoch, experiment, arm, pin."""
Measures = dict[str | int, list[float]]
"""How often and what sum, by measure; a number is a bin of latency."""


@dataclass(slots=True)
class Exposure:
    """What one unit met of one arm since the last flush."""

    pin: str
    rev: int
    first_at: float
    last_at: float
    n: int = 1


@dataclass(slots=True)
class Held:
    """Increments: echoes as [n, last_at], measures of arms, exposures."""

    echoes: dict[EchoKey, list[float]] = field(
        default_factory=dict[EchoKey, list[float]]
    )
    arms: dict[ArmKey, Measures] = field(default_factory=dict[ArmKey, Measures])
    exposures: dict[tuple[str, str, str], Exposure] = field(
        default_factory=dict[tuple[str, str, str], Exposure]
    )


def latency_bin(seconds: float) -> int:
    """Return the bin of a latency: each is a tenth wider than the one before."""
    return max(0, math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _STEP))


def bin_edges(number: int) -> tuple[float, float]:
    """Return the seconds between which the latencies of a bin lie."""
    upper = _SMALLEST * math.exp(_STEP * number)
    return (upper / math.exp(_STEP) if number else 0.0), upper


class Traffic:
    """Increments since the last `drain()`; usable as a telemetry hook.

    Attributes:
        lost: Increments that found no place.
    """

    __slots__ = ("_held", "_lock", "lost")

    def __init__(self) -> None:
        self.lost = 0
        self.renew()

    def renew(self) -> None:
        """Start from zero, as a forked child does: what it holds is its parent's."""
        self._lock = threading.Lock()
        self._held = Held()

    def __call__(self, outcome: Outcome) -> None:
        """Count the echoes of one call, and what its arm makes of it."""
        with self._lock:
            for one in outcome.attempts:
                if one.pin and (one.kind in _ANSWERED or one.served_model):
                    self._echo(one, outcome.at + one.started)
            if outcome.arm:
                self._arm(outcome)

    def signal(self, outcome: Outcome, measure: str) -> None:
        """Count what was learnt after a call about the arm that answered it.

        Nothing is counted of calls without an arm, or that another version answered.
        """
        own = outcome.attempts[0] if outcome.attempts else None
        if outcome.arm and own is not None and own.pin == outcome.pin:
            self.note(
                experiment=outcome.experiment,
                arm=outcome.arm,
                pin=own.pin,
                measure=measure,
                at=outcome.at,
            )

    def note(
        self, *, experiment: str, arm: str, pin: str, measure: str, at: float
    ) -> None:
        """Count something that was learnt after the call, such as `corrected`."""
        with self._lock:
            table = self._table((int(at // _HOUR), experiment, arm, pin))
            if table is not None:
                _add(table, measure, 1, 0.0)

    def drain(self) -> Held:
        """Return the increments, and start again from zero."""
        with self._lock:
            held, self._held = self._held, Held()
        return held

    def put_back(self, held: Held) -> None:
        """Take increments back that could not be written."""
        with self._lock:
            for echo, (n, last) in held.echoes.items():
                self._add_echo(echo, n, last)
            for arm, measures in held.arms.items():
                table = self._table(arm)
                for measure, (n, total) in measures.items():
                    if table is not None:
                        _add(table, measure, n, total)
            for key, one in held.exposures.items():
                self._expose(key, one)

    def _echo(self, attempt: Attempt, at: float) -> None:
        key = (
            int(at // _BUCKET),
            attempt.pin,
            attempt.served_model or "",
            attempt.fingerprint or "",
        )
        self._add_echo(key, 1, at)

    def _add_echo(self, key: EchoKey, n: float, at: float) -> None:
        cell = self._held.echoes.get(key)
        if cell is not None:
            cell[0] += n
            cell[1] = max(cell[1], at)
        elif len(self._held.echoes) < _MAX_ROWS:
            self._held.echoes[key] = [n, at]
        else:
            self.lost += 1

    def _arm(self, outcome: Outcome) -> None:
        own = [one for one in outcome.attempts if not one.tier_index]
        if not own:
            return
        pin = own[0].pin
        about = (int(outcome.at // _HOUR), outcome.experiment, outcome.arm, pin)
        table = self._table(about)
        if table is not None:
            _measure(table, outcome, own, pin)
        if outcome.unit:
            met = Exposure(pin, outcome.revision, outcome.at, outcome.at)
            self._expose((outcome.experiment, outcome.unit, outcome.arm), met)

    def _table(self, key: ArmKey) -> Measures | None:
        table = self._held.arms.get(key)
        if table is None:
            if len(self._held.arms) >= _MAX_ROWS:
                self.lost += 1
                return None
            table = self._held.arms[key] = {}
        return table

    def _expose(self, key: tuple[str, str, str], met: Exposure) -> None:
        known = self._held.exposures.get(key)
        if known is not None:
            known.n += met.n
            known.last_at = max(known.last_at, met.last_at)
        elif len(self._held.exposures) < _MAX_ROWS:
            self._held.exposures[key] = met
        else:
            self.lost += 1


def _add(table: Measures, measure: str | int, n: float, total: float) -> None:
    cell = table.get(measure)
    if cell is None:
        table[measure] = [n, total]
    else:
        cell[0] += n
        cell[1] += total


def _measure(table: Measures, outcome: Outcome, own: list[Attempt], pin: str) -> None:
    """Add what one call says of its arm.

    A rate of valid answers counts first attempts only, as breakers and suites do: what
    a re-ask mended was broken.
    """
    _add(table, "calls", 1, outcome.elapsed)
    first, answered = own[0], outcome.kind is Kind.OK and not outcome.tier_index
    if first.kind in _NOT_ASKED:
        if first.kind is Kind.OPEN:
            _add(table, "diverted", 1, 0.0)
        return
    policy = POLICY[first.kind]
    if policy.behaviour is not Signal.IGNORE:
        valid = policy.behaviour is Signal.SUCCESS
        _add(table, "valid" if valid else "invalid", 1, 0.0)
        _add(table, latency_bin(first.elapsed), 1, first.elapsed)
    elif policy.infra is Signal.FAILURE:
        _add(table, "failed", 1, 0.0)
    if answered and own[-1].pin == pin:
        _add(table, "answered", 1, 0.0)
    used = [one.usage for one in own if one.pin == pin and one.usage is not None]
    if used:
        _tokens(table, used)


def _tokens(table: Measures, used: list[Usage]) -> None:
    """Add the tokens of one call, re-asks included, and their squares."""
    for measure, counts in (
        ("input_tokens", [usage.input_tokens for usage in used]),
        ("output_tokens", [usage.output_tokens for usage in used]),
    ):
        known = [count for count in counts if count is not None]
        if known:
            total = float(sum(known))
            _add(table, measure, 1, total)
            _add(table, f"{measure}_sq", 1, total * total)


TRAFFIC: Final = Traffic()
"""The one of this process; the keeper moves it to the store."""
