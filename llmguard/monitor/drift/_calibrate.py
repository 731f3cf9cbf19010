"""Thresholds by a double block bootstrap, at a stated rate of false alarms.

The obvious way, streams drawn from the baseline that the detector was fitted on, hides
the baseline's own error: on a real pair of runs of one version it gave 5 alarms per
10,000 outputs where 0.25 were promised. Here both are resampled: the detectors are
fitted on a bootstrap sample, and follow a stream drawn anew from the baseline, which
stands for the version itself. So the two differ by the error of one baseline, as a
live version and its baseline do. (Streams drawn from a second bootstrap sample would
differ by the errors of two; where 22 % of healthy streams may alarm, 0 to 3 % did, and
changes were seen up to a third later.) Both are drawn in blocks (Politis and Romano,
"The stationary bootstrap", JASA 89, 1994), since prompts come in runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final, cast

import numpy as np

from ._context import Learnt
from ._embed import BUCKETS
from ._families import (
    FAMILIES,
    FLOORS,
    RATE,
    Ewma,
    Fit,
    Lengths,
    Marks,
    Tracker,
    fit_family,
)
from ._rows import Floats, Order, Rows

__all__ = [
    "CALIBRATION",
    "Calibration",
    "block_of",
    "calibrate",
    "start",
    "stationary",
]

CALIBRATION: Final = "double-block-bootstrap/3"
_BREATH: Final = 4
_BLOCKS: Final = (5.0, 50.0)
_LAGS: Final = 100
_MOST: Final = 2**24
_STILL: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How thresholds are found.

    Attributes:
        per_10k: False alarms per 10,000 outputs, over all families together.
        block: Mean length of the blocks; 1 for independent outputs, None to measure
            how long the baseline's prompts and lengths resemble their neighbours.
        replicates: Pairs of bootstrap samples.
        outputs: Length of each simulated stream.
        seed: Of the random numbers: the same rows give the same thresholds.
    """

    per_10k: float = 1.0
    block: float | None = None
    replicates: int = 60
    outputs: int = 10_000
    seed: int = 7

    @property
    def quiet(self) -> float:
        """Chance that one family stays silent over one simulated stream."""
        share = self.per_10k / len(FAMILIES)
        return math.exp(-share * self.outputs / 10_000)


def block_of(rows: Rows) -> float:
    """Return the mean length of blocks that keeps the order's dependence, 5 to 50.

    Twice the integrated autocorrelation time of the length and of the prompts' three
    main components, by Geyer's initial positive sequence (Statistical Science 7,
    1992); five at least, since tomorrow's traffic may come in longer runs.
    """
    seen = [rows.measures[:, 0]]
    if rows.prompts is not None:
        # Eight buckets in one: the main components need no more.
        folded = rows.prompts.reshape(len(rows), -1, BUCKETS).sum(axis=1)
        centred = folded - folded.mean(axis=0)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, -3:]
        seen += [*(centred @ axes).T]
    longest = max(_memory(each) for each in seen)
    return float(min(max(2 * longest, _BLOCKS[0]), _BLOCKS[1]))


def _memory(values: Floats) -> float:
    """Return the integrated autocorrelation time, 1 for independent values."""
    left = values - values.mean()
    power = float(left @ left)
    if power <= _STILL * len(left):
        return 1.0
    total = 1.0
    for lag in range(1, min(len(left) // 4, _LAGS)):
        rho = float(left[lag:] @ left[:-lag]) / power
        if rho <= 2 / math.sqrt(len(left)):
            break
        total += 2 * rho
    return total


def stationary(
    rng: np.random.Generator, n: int, shape: tuple[int, int], block: float
) -> Order:
    """Return indices below n in blocks of geometric length, one row per sample."""
    starts = rng.integers(0, n, shape)
    if block <= 1:
        return starts
    new = rng.random(shape) < 1 / block
    new[:, 0] = True
    place = np.arange(shape[1])
    first = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    return (np.take_along_axis(starts, first, axis=1) + place - first) % n


def start(name: str, fits: Sequence[Fit]) -> Tracker:
    """Return a tracker of a family, one stream per fit."""
    given = cast("Any", fits)
    if name == "patterns":
        return Marks(given)
    return Lengths(given) if name == "length" else Ewma(given)


def calibrate(
    rows: Rows,
    how: Calibration,
    learnt: Learnt,
    *,
    breathe: Callable[[], None] | None = None,
) -> Mapping[str, float]:
    """Return the threshold of every family, and of `input` where prompts are known.

    Args:
        rows: The baseline, in the order in which it came.
        how: The promise and its parameters.
        learnt: What its prompts say.
        breathe: Called about once a millisecond of work, for threads that must not
            hold up others.
    """
    rng = np.random.default_rng(how.seed)
    n, shape = len(rows), (how.replicates, how.outputs)
    block = block_of(rows) if how.block is None else how.block
    fitted = stationary(rng, n, (how.replicates, n), block)
    order = stationary(rng, n, shape, block)
    rest = breathe or _hurry
    found: dict[str, float] = {}
    for name in [*FAMILIES, *(["input"] if learnt.known else [])]:
        context = learnt.full if name == "input" else learnt.seen
        highest: list[Floats] = []
        width = 0
        for part in _parts(fitted, n * _widest(rows, name)):
            fits: list[Fit] = []
            seen: list[Floats] = []
            for sample in fitted[part]:
                fits.append(fit_family(name, rows, learnt, sample))
                seen.append(fits[-1].project(rows, context).astype(np.float32))
                rest()
            width = seen[0].shape[1]
            tracker = start(name, fits)
            highest.append(_highest(tracker, np.stack(seen), order[part], rest))
        level = float(np.quantile(np.concatenate(highest), how.quiet))
        found[name] = max(level, FLOORS.get(name, _least(width, how)))
    return found


def _highest(
    tracker: Tracker, seen: Floats, order: Order, rest: Callable[[], None]
) -> Floats:
    """Return the highest statistic of each simulated stream."""
    highest = np.zeros(len(seen))
    every = np.arange(len(seen))
    for step in range(order.shape[1]):
        np.maximum(highest, tracker.step(seen[every, order[:, step]]), out=highest)
        if step % _BREATH == 0:
            rest()
    return highest


def _parts(samples: Order, numbers: int) -> list[slice]:
    """Cut the samples so that the numbers of each part fit into 64 MB."""
    most = max(_MOST // max(numbers, 1), 1)
    return [slice(at, at + most) for at in range(0, len(samples), most)]


def _widest(rows: Rows, name: str) -> int:
    marks, hashed = rows.marks.shape[1], rows.hashed.shape[1]
    return int(4 * marks if name == "patterns" else hashed)


def _hurry() -> None:
    """Do not let anybody else run."""


def _least(numbers: int, how: Calibration) -> float:
    """Return what a squared length of so many numbers passes though all is known.

    That is, where neither their means nor their spread had to be estimated: the
    chi-square quantile (Wilson and Hilferty, PNAS 17, 1931) of the promised share of
    alarms among the looks that do not repeat each other, two in each memory of 1 /
    RATE outputs.
    """
    looks = 2 * RATE * how.outputs
    tail = NormalDist().inv_cdf(1 - (1 - how.quiet) / max(looks, 2.0))
    spread = 2 / (9 * numbers)
    return float(numbers * (1 - spread + tail * math.sqrt(spread)) ** 3)
