"""Many streams at once against one baseline: when each family would have alarmed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ._baseline import Baseline
from ._calibrate import start
from ._families import FAMILIES
from ._mix import EXPLAINED, STRANGE, Mixing
from ._rows import Flags, Floats, Order, Rows

__all__ = ["first_alarms"]


def first_alarms(
    baseline: Baseline, rows: Rows, order: Order
) -> tuple[Mapping[str, Order], Mapping[str, Order]]:
    """Follow streams drawn from `rows`, as a follower follows one.

    Args:
        baseline: What they are held against.
        rows: Outputs that the baseline was not made of.
        order: Indices of rows, one row per stream.

    Returns:
        By family, the output, counted from 1, at which each stream first raised an
        alarm; and at which it was first held back, because other inputs explained it.
        One more than the length of the streams stands for never; what was held back
        is not raised later.
    """
    streams, long = order.shape
    seen = {
        name: fit.project(rows, baseline.context.read(rows)).astype(np.float32)
        for name, fit in baseline.fits.items()
    }
    trackers = {
        name: start(name, [fit] * streams) for name, fit in baseline.fits.items()
    }
    inputs = _Inputs(baseline, rows, streams)
    raised = {name: np.full(streams, long + 1) for name in FAMILIES}
    held = {name: np.full(streams, long + 1) for name in FAMILIES}
    for step in range(long):
        now = order[:, step]
        scores = {
            name: tracker.step(seen[name][now]) / baseline.thresholds[name]
            for name, tracker in trackers.items()
        }
        others = inputs.step(now, scores.get("input"))
        for name in FAMILIES:
            first = (scores[name] > 1) & (raised[name] > long) & (held[name] > long)
            held[name][first & others] = step + 1
            raised[name][first & ~others] = step + 1
        if all((np.minimum(raised[n], held[n]) <= long).all() for n in FAMILIES):
            break
    return raised, held


class _Inputs:
    """Whether other inputs explain what is seen, for each stream."""

    def __init__(self, baseline: Baseline, rows: Rows, streams: int) -> None:
        self._mixing = None
        if baseline.mix is not None and rows.prompts is not None:
            self._mixing = Mixing(baseline.mix, streams)
        self._streams = streams
        self._style = rows.style
        self._context = baseline.context.read(rows)
        self._strange = baseline.context.strangeness(rows)

    def step(self, now: Order, score: Floats | None) -> Flags:
        """Take the next output of each stream; tell whether its inputs explain it."""
        if self._mixing is None:
            return np.zeros(self._streams, bool)
        evidence = self._mixing.step(
            self._style[now], self._context[now], self._strange[now]
        )
        explained = evidence / EXPLAINED
        inputs = self._mixing.strange / STRANGE
        if score is not None:
            inputs = np.maximum(inputs, score)
        others: Flags = np.maximum(explained, inputs) >= 1
        return others
