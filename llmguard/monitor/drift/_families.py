"""The families of detectors: each turns a stream of outputs into one statistic.

A family is fitted on a baseline and then followed by a tracker. Trackers follow many
streams at once, each with a fit of its own, which is how thresholds are found; a live
stream is a tracker of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from ...breaker.detector import upper_rate
from ._context import Learnt, regress
from ._rows import Floats, Order, Rows

__all__ = [
    "DETECTORS",
    "FAMILIES",
    "FLOORS",
    "RATE",
    "Ewma",
    "Fit",
    "LengthFit",
    "Lengths",
    "MarkFit",
    "Marks",
    "Spread",
    "Tracker",
    "fit_family",
]

FAMILIES: Final = ("style", "wording", "patterns", "length")
"""The families that may raise an alarm."""
DETECTORS: Final = "families/2"
"""Version of the detectors; baselines are bound to it."""
FLOORS: Final[Mapping[str, float]] = {"patterns": 9.0, "length": 1.7}
"""Smallest thresholds: no resampling shows what a baseline has never seen."""

RATE: Final = 0.02
"""Weight of the newest output in the moving means."""
_SHIFTS: Final = np.log([1.5, 4.0, 1 / 1.5, 1 / 4.0])
"""Log odds ratios that are looked for, two upwards and two downwards."""
_SIDES: Final = [0, 0, 1, 1]
"""Which bound of the band each of them starts from."""
_DOUBT: Final = 200.0
"""Outputs without any effect of the prompt, as if these had been seen too."""
_ROUNDS: Final = 8
_PROMPT: Final = 4.0
"""A prompt makes a mark at most so many times rarer, or its absence."""
_SURE: Final = 0.99
_RAREST: Final = 1e-4
_WORDING: Final = 64
_SHRINK: Final = 0.05
_WINDOW: Final = 200
_EVERY: Final = 20
_TINY: Final = 1e-9
_STILL: Final = 1e-4
_SAME: Final = 1e-5
_FARTHEST: Final = 2.0
"""Typical sizes of an output at which its own is cut off."""


class Tracker(Protocol):
    """Follows R streams."""

    def step(self, seen: Floats) -> Floats:
        """Take the next output of each stream, R x k; return R statistics."""
        ...


class Fit(Protocol):
    """A family fitted on one baseline."""

    def project(self, rows: Rows, context: Floats) -> Floats:
        """Return n x k numbers, which a tracker takes one row at a time."""
        ...

    def arrays(self) -> Mapping[str, Floats]:
        """Return everything it knows, for storage."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Numbers less what their prompts explain, whitened.

    Attributes:
        source: `style`, `wording` or `input`: which numbers of the rows.
        coefficients: Context x d.
        whiten: d x k.
    """

    source: str
    coefficients: Floats
    whiten: Floats

    @classmethod
    def fit(cls, source: str, rows: Rows, context: Floats, order: Order) -> Spread:
        """Learn from the rows named by `order`."""
        values = _values(source, rows, context)
        base = context[:, :1] if source == "input" else context
        coefficients = regress(base[order], values[order])
        left = (values - base @ coefficients)[order]
        covariance = np.atleast_2d(np.cov(left, rowvar=False))
        if source == "wording":
            power, axes = np.linalg.eigh(covariance)
            power, axes = power[::-1][:_WORDING], axes[:, ::-1][:, :_WORDING]
            power = power + _SHRINK * power.mean() + _STILL
            return cls(
                source=source, coefficients=coefficients, whiten=axes / np.sqrt(power)
            )
        n = len(order)
        # As if each mark had been seen once and missed once more: what never varied
        # in a baseline may vary a little.
        scale = np.sqrt(np.diag(covariance) + (n + 1) / (n + 2) ** 2)
        correlation = covariance / np.outer(scale, scale)
        correlation = (1 - _SHRINK) * correlation + _SHRINK * np.eye(len(scale))
        power, axes = np.linalg.eigh(correlation)
        whiten = axes / np.sqrt(np.maximum(power, _TINY)) / scale[:, None]
        return cls(source=source, coefficients=coefficients, whiten=whiten)

    def project(self, rows: Rows, context: Floats) -> Floats:
        """Return the whitened residuals, n x k."""
        values = _values(self.source, rows, context)
        base = context[:, : len(self.coefficients)]
        whitened = (values - base @ self.coefficients) @ self.whiten
        # One odd output must not raise an alarm, however far off it is.
        size = np.sqrt(np.einsum("ij,ij->i", whitened, whitened))
        most = _FARTHEST * math.sqrt(whitened.shape[1])
        shrunk: Floats = whitened * (most / np.maximum(size, most))[:, None]
        return shrunk

    def arrays(self) -> Mapping[str, Floats]:
        """Return the coefficients and the whitening."""
        return {"coefficients": self.coefficients, "whiten": self.whiten}


class Ewma:
    """Exponentially weighted mean of k numbers; its squared length is the statistic.

    Lowry, Woodall, Champ and Rigdon, "A multivariate exponentially weighted moving
    average control chart" (Technometrics 34, 1992), at its asymptotic scale.
    """

    __slots__ = ("_mean",)

    def __init__(self, fits: Sequence[Spread]) -> None:
        self._mean = np.zeros((len(fits), fits[0].whiten.shape[1]), np.float32)

    def step(self, seen: Floats) -> Floats:
        """Take the next output of each stream."""
        self._mean += RATE * (seen - self._mean)
        length: Floats = np.einsum("ij,ij->i", self._mean, self._mean)
        return length * ((2 - RATE) / RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkFit:
    """The share of outputs with each mark that is normal, given the prompt.

    Attributes:
        coefficients: Context x marks: what prompts make of each share.
        rates: Share of each mark in the baseline.
        band: Marks x 2: from there up and down to the bounds of what is normal, in
            log odds.
    """

    coefficients: Floats
    rates: Floats
    band: Floats

    @classmethod
    def fit(cls, rows: Rows, learnt: Learnt, order: Order) -> MarkFit:
        """Learn the band of normal rates from the rows named by `order`.

        What the prompts say of a mark is trusted as far as it held, by one factor.
        """
        marks = rows.marks[order]
        n, seen = len(marks), marks.sum(axis=0).astype(int)
        high = np.array([upper_rate(int(k), n, confidence=_SURE) for k in seen])
        low = 1 - np.array([upper_rate(int(n - k), n, confidence=_SURE) for k in seen])
        rates = marks.mean(axis=0)
        return cls(
            coefficients=_trusted(learnt, order, marks),
            rates=rates,
            band=(_log_odds(np.stack([high, low])) - _log_odds(rates)).T,
        )

    def project(self, rows: Rows, context: Floats) -> Floats:
        """Return the log likelihood ratios of each output, n x (marks * 4).

        Of each mark, those of rates above the normal band by two odds ratios, and of
        two below it.
        """
        expected = _possible(context @ self.coefficients, self.rates)
        normal = _log_odds(expected)[:, :, None] + self.band[:, _SIDES]
        other = normal + _SHIFTS
        there = rows.marks[:, :, None]
        # log p = l - log(1 + e^l) and log(1 - p) = -log(1 + e^l), for log odds l.
        ratio = there * _SHIFTS + np.logaddexp(0, normal) - np.logaddexp(0, other)
        return ratio.reshape(len(ratio), -1)

    def arrays(self) -> Mapping[str, Floats]:
        """Return the coefficients, the rates and the band."""
        return {
            "coefficients": self.coefficients,
            "rates": self.rates,
            "band": self.band,
        }


class Marks:
    """A CUSUM (Page, Biometrika 41, 1954) per mark and alternative; the largest counts.

    The null of each is not the baseline's rate but the 99 % bound of it, so that a
    baseline which saw a little too few of something is no reason for alarm; and it is
    the rate that the output's own prompt makes normal, as in risk-adjusted charts
    (Steiner, Cook, Farewell and Treasure, Biostatistics 1, 2000).
    """

    __slots__ = ("_sums",)

    def __init__(self, fits: Sequence[MarkFit]) -> None:
        marks = len(fits[0].rates)
        self._sums = np.zeros((len(fits), marks * len(_SHIFTS)), np.float32)

    def step(self, seen: Floats) -> Floats:
        """Take the next output of each stream."""
        self._sums += seen
        np.maximum(self._sums, 0.0, out=self._sums)
        highest: Floats = self._sums.max(axis=1, initial=0.0)
        return highest


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthFit:
    """Lengths less what those of their prompts explain, as ranks in the baseline.

    The words of the prompts are left out: where they come again, lengths would scatter
    less than they did in the baseline, which this statistic sees too.

    Attributes:
        coefficients: Context x 1.
        ordered: The baseline's residuals in ascending order.
    """

    coefficients: Floats
    ordered: Floats

    @classmethod
    def fit(cls, rows: Rows, context: Floats, order: Order) -> LengthFit:
        """Learn from the rows named by `order`."""
        values = _lengths(rows)
        coefficients = np.zeros((context.shape[1], 1))
        plain = [0, -1] if context.shape[1] > 1 else [0]
        coefficients[plain] = regress(context[order][:, plain], values[order])
        left = np.sort((values - context @ coefficients)[order, 0])
        return cls(coefficients=coefficients, ordered=left)

    def project(self, rows: Rows, context: Floats) -> Floats:
        """Return the ranks, n x 1 in [0, 1]; ties get the middle one."""
        left = (_lengths(rows) - context @ self.coefficients)[:, 0]
        below = np.searchsorted(self.ordered, left - _SAME, "left")
        upto = np.searchsorted(self.ordered, left + _SAME, "right")
        return ((below + upto) / (2.0 * len(self.ordered)))[:, None]

    def arrays(self) -> Mapping[str, Floats]:
        """Return the coefficients and the residuals."""
        return {"coefficients": self.coefficients, "ordered": self.ordered}


class Lengths:
    """Kolmogorov-Smirnov statistic of the last 200 lengths, looked at every 20.

    The distance times the root of the number of lengths, so that the first ones count
    before there are 200.
    """

    __slots__ = ("_last", "_ring", "_seen")

    def __init__(self, fits: Sequence[LengthFit]) -> None:
        self._ring = np.zeros((len(fits), _WINDOW), np.float32)
        self._last = np.zeros(len(fits))
        self._seen = 0

    def step(self, seen: Floats) -> Floats:
        """Take the next output of each stream."""
        self._ring[:, self._seen % _WINDOW] = seen[:, 0]
        self._seen += 1
        if self._seen % _EVERY == 0:
            n = min(self._seen, _WINDOW)
            ranks = np.sort(self._ring[:, :n], axis=1)
            even = (np.arange(n) + 0.5) / n
            self._last = np.abs(ranks - even).max(axis=1) * np.sqrt(n)
        return self._last


def fit_family(
    name: str, rows: Rows, learnt: Learnt, order: Order
) -> Spread | MarkFit | LengthFit:
    """Fit one family on the rows named by `order`.

    Args:
        name: One of `FAMILIES`, or `input` for the prompts themselves.
        rows: Outputs.
        learnt: What their prompts say.
        order: Indices, with repetitions.
    """
    if name == "patterns":
        return MarkFit.fit(rows, learnt, order)
    if name == "length":
        return LengthFit.fit(rows, learnt.seen, order)
    # Prompts that come again must not look like other ones: as they will be read.
    context = learnt.full if name == "input" else learnt.seen
    return Spread.fit(name, rows, context, order)


def _trusted(learnt: Learnt, order: Order, marks: Floats) -> Floats:
    """Return from context to shares: what prompts say of each, as far as it held."""
    rates, n = marks.mean(axis=0), len(marks)
    coefficients = np.zeros((learnt.seen.shape[1], len(rates)))
    coefficients[0] = rates
    if not learnt.known:
        return coefficients
    seen = learnt.seen[order]
    said = seen[:, 1:-1] @ learnt.marks
    mean = said.mean(axis=0)
    power = np.square(said - mean).sum(axis=0) * (1 + _DOUBT / n) + _TINY
    trust = ((said - mean) * (marks - rates)).sum(axis=0) / power
    coefficients[0] -= trust * mean
    coefficients[1:-1] = trust * learnt.marks
    for _ in range(_ROUNDS):
        # What is cut off below must not raise the mean, nor the other way round.
        off = _possible(seen @ coefficients, rates).mean(axis=0) - rates
        coefficients[0] -= off
    return coefficients


def _possible(shares: Floats, rates: Floats) -> Floats:
    return np.clip(shares, rates / _PROMPT, 1 - (1 - rates) / _PROMPT)


def _log_odds(rates: Floats) -> Floats:
    held = np.clip(rates, _RAREST, 1 - _RAREST)
    odds: Floats = np.log(held / (1 - held))
    return odds


def _values(source: str, rows: Rows, context: Floats) -> Floats:
    if source == "input":
        return context[:, 1:]
    return rows.hashed if source == "wording" else rows.style


def _lengths(rows: Rows) -> Floats:
    return rows.measures[:, :1]
