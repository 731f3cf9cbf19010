"""The states of a breaker and the numbers that move it between them."""

from __future__ import annotations

import enum
from typing import Literal

from .._dataclass import dataclass
from ..errors import ConfigError
from .detector import upper_rate

__all__ = ["BreakerPolicy", "State"]

_POSITIVE = (
    "calls_per_false_trip",
    "consecutive",
    "detectors",
    "min_calls",
    "open_cap",
    "open_for",
    "probe_lease",
    "probes",
    "remember_for",
    "slow_call",
    "streak",
    "window",
)
_SHARES = (
    "base_rate",
    "failure_rate",
    "healthy_rate",
    "probe_error",
    "sick_rate",
    "slow_rate",
)


class State(enum.StrEnum):
    """What a breaker does with the next call."""

    CLOSED = "closed"
    """Admits every call and counts."""
    OPEN = "open"
    """Admits nobody until its time is up, then half-opens by itself."""
    HALF_OPEN = "half-open"
    """Admits a few probes at a time until they decide."""
    QUARANTINED = "quarantined"
    """The version misbehaved: admits nobody until a person releases it."""
    FORCED_OPEN = "forced-open"
    """A person said: admit nobody."""
    FORCED_CLOSED = "forced-closed"
    """A person said: admit everybody; counts, but never trips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """Every threshold of one breaker; durations in seconds, rates in [0, 1].

    The defaults and where each comes from are in `docs/breaker.md`.

    Attributes:
        consecutive: Infrastructure failures in a row that open the breaker.
        failure_rate: Share of failures within `window` that opens it.
        slow_rate: Share of slow calls within `window` that opens it.
        slow_call: A call that takes this long or longer is slow.
        min_calls: The two shares mean nothing below this many calls.
        window: Length of the rolling window, kept in ten buckets.
        open_for: First open period; each failed recovery doubles it.
        open_cap: Longest open period, before jitter.
        jitter: Open periods are spread evenly over 1 - jitter to 1 + jitter.
        probes: Calls that may be under way at once while half-open.
        probe_lease: A probe that has not reported after this long loses its place;
            `acquire(lease=)` overrides it with the attempt's own timeout.
        close_by: `sprt` decides half-open by a sequential test of `healthy_rate`
            against `sick_rate`; `streak` by `streak` good probes in a row.
        healthy_rate: Failure rate at which half-open should close.
        sick_rate: Failure rate at which half-open should open again.
        probe_error: Error probability of the sequential test, both ways.
        streak: Good probes in a row that close, when `close_by` is `streak`.
        behaviour: False switches the behaviour detector off.
        base_rate: Smallest contract failure rate that is taken for normal.
        qualification: (failures, calls) of the run that qualified this version;
            the rate taken for normal is at least its 95 % upper bound.
        calls_per_false_trip: Mean calls to a false behaviour trip, at least.
        detectors: Detectors that watch this version; each gets its share of the
            false trips.
        remember_inputs: Distinct inputs that are remembered, so that one counts once.
        remember_for: Seconds after which the same input counts again.

    Raises:
        ConfigError: A threshold is outside its range, or `sick_rate` is not above
            `healthy_rate`.
    """

    consecutive: int = 5
    failure_rate: float = 0.5
    slow_rate: float = 0.8
    slow_call: float = 20.0
    min_calls: int = 20
    window: float = 30.0
    open_for: float = 15.0
    open_cap: float = 300.0
    jitter: float = 0.2
    probes: int = 3
    probe_lease: float = 30.0
    close_by: Literal["sprt", "streak"] = "sprt"
    healthy_rate: float = 0.02
    sick_rate: float = 0.2
    probe_error: float = 0.05
    streak: int = 5
    behaviour: bool = True
    base_rate: float = 0.02
    qualification: tuple[int, int] | None = None
    calls_per_false_trip: float = 1e6
    detectors: int = 1
    remember_inputs: int = 4096
    remember_for: float = 3600.0

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            self._require(name, holds=getattr(self, name) > 0, want="above 0")
        for name in _SHARES:
            self._require(name, holds=0 < getattr(self, name) < 1, want="in (0, 1)")
        self._require("jitter", holds=0 <= self.jitter < 1, want="in [0, 1)")
        self._require(
            "remember_inputs", holds=self.remember_inputs >= 0, want="0 or more"
        )
        self._require(
            "sick_rate",
            holds=self.sick_rate > self.healthy_rate,
            want="above `healthy_rate`",
        )
        self._require(
            "close_by",
            holds=self.close_by in ("sprt", "streak"),
            want="'sprt' or 'streak'",
        )
        self._require("qualification", holds=self.p0 < 1, want="better than all failed")

    def _require(self, name: str, *, holds: bool, want: str) -> None:
        if not holds:
            raise ConfigError(
                f"`BreakerPolicy.{name}` is {getattr(self, name)!r}; it must be {want}"
            )

    @property
    def p0(self) -> float:
        """Contract failure rate that is taken for normal behaviour."""
        if self.qualification is None:
            return self.base_rate
        failures, calls = self.qualification
        return max(self.base_rate, upper_rate(failures, calls))

    @property
    def threshold(self) -> float:
        """Evidence at which the behaviour detector trips."""
        return self.calls_per_false_trip * self.detectors

    def open_period(self, openings: int, *, u: float) -> float:
        """Return seconds to stay open.

        Args:
            openings: Times it opened before without a lasting recovery.
            u: A uniform random number in [0, 1).
        """
        doubled = self.open_for * 2.0 ** min(openings, 32)
        return min(doubled, self.open_cap) * (1 + self.jitter * (2 * u - 1))
