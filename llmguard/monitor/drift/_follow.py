"""Following one version's live outputs against a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ..._dataclass import dataclass
from ._baseline import Baseline
from ._calibrate import start
from ._mix import EXPLAINED, STRANGE, Mixing
from ._rows import Floats, Row, Rows

__all__ = ["Alarm", "Follower", "Shift"]

_RATE: Final = 0.02
_QUIET: Final = 0.5
"""Share of the threshold below which a statistic says that nothing has begun."""
_NAMED: Final = 3
_PATIENCE: Final = 2_000
"""Outputs after which what other inputs explained is looked at anew, without a word
from anybody: a changed version must not hide behind them for ever."""
_OVER: Final = 1 + 1e-5
"""Where an answer never varies, the statistic lies on the threshold itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """One number that is not what it was.

    Attributes:
        name: Of the mark or measure.
        before: Its share or mean in the baseline.
        now: Its recent share or mean.
        score: How many standard errors apart.
    """

    name: str
    before: float
    now: float
    score: float

    def __str__(self) -> str:
        return f"{self.name} {self.before:.3g} -> {self.now:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A family's statistic has passed its threshold.

    Attributes:
        family: `style`, `wording`, `patterns` or `length`.
        statistic: Its value.
        threshold: What it passed.
        output: Which output it was, counted from 1.
        began: The output at which the change is believed to have begun.
        shifts: What moved most.
        inputs: The inputs' own statistic as a share of its threshold; from 1 on the
            inputs are others than the baseline's too.
        explained: How strongly the prompts speak for other inputs rather than another
            behaviour, as a share of what is enough; from 1 on other inputs explain it.
    """

    family: str
    statistic: float
    threshold: float
    output: int
    began: int
    shifts: tuple[Shift, ...]
    inputs: float
    explained: float = 0.0

    @property
    def confounded(self) -> bool:
        """True when other inputs may explain it: only a paired probe can tell."""
        return max(self.inputs, self.explained) >= 1.0

    def __str__(self) -> str:
        moved = "; ".join(map(str, self.shifts)) or "no single number stands out"
        also = "; other inputs may explain it" if self.confounded else ""
        return (
            f"{self.family} {self.statistic:.3g} above {self.threshold:.3g} at output "
            f"{self.output}, since about output {self.began}: {moved}{also}"
        )


class Follower:
    """One live stream held against a baseline; constant memory, one thread at a time.

    Args:
        baseline: What to compare with.
        processes: Processes that follow the same version apart from each other, whose
            false alarms add up: thresholds of squared lengths and evidence rise by
            twice their logarithm.
    """

    def __init__(self, baseline: Baseline, *, processes: int = 1) -> None:
        self.baseline = baseline
        more = float(np.log(max(processes, 1)))
        extra = {"patterns": more, "length": 0.0}
        self._limits = {
            name: limit + extra.get(name, 2 * more)
            for name, limit in baseline.thresholds.items()
        }
        self.restart()

    def restart(self) -> None:
        """Forget the stream so far, as after a verdict; counting goes on from 0."""
        base = self.baseline
        self._trackers = {name: start(name, [fit]) for name, fit in base.fits.items()}
        self.scores: dict[str, float] = dict.fromkeys(base.fits, 0.0)
        self.alarmed: dict[str, Alarm] = {}
        self.held: dict[str, Alarm] = {}
        self.explained = self.strange = 0.0
        self.outputs = self._held_at = 0
        self._quiet = dict.fromkeys(base.fits, 0)
        self._recent = np.concatenate([base.rates, base.means])
        self._weight = 1.0
        self._mixing = None if base.mix is None else Mixing(base.mix)

    def see(self, row: Row) -> list[Alarm]:
        """Take the next output; return the alarms that it raises.

        Each family once; where other inputs explain it, that one is held back.
        """
        if self.held and self.outputs >= self._held_at + _PATIENCE:
            self.restart()
        self.outputs += 1
        rows = Rows.of([row])
        base = self.baseline
        context = base.context.read(rows)
        self._recent = self._recent + _RATE * (rows.style[0] - self._recent)
        self._weight *= 1 - _RATE
        if self._mixing is not None and rows.prompts is not None:
            strange = base.context.strangeness(rows)
            evidence = self._mixing.step(rows.style, context, strange)
            self.explained = float(evidence[0]) / EXPLAINED
            self.strange = float(self._mixing.strange[0]) / STRANGE
        over: list[str] = []
        for name, fit in base.fits.items():
            seen = fit.project(rows, context)
            score = float(self._trackers[name].step(seen)[0]) / self._limits[name]
            self.scores[name] = score
            if score < _QUIET:
                self._quiet[name] = self.outputs
            if score > _OVER and name != "input" and name not in self.alarmed:
                over.append(name)
        alarms = map(self._alarm, over)
        return [alarm for alarm in alarms if self._new(alarm)]

    def shifts(self, most: int = _NAMED) -> tuple[Shift, ...]:
        """Return what has moved most, the largest first."""
        base = self.baseline
        before = np.concatenate([base.rates, base.means])
        least = 1 / np.sqrt(base.outputs)
        spread = np.concatenate(
            [_spread(base.rates, base.outputs), np.hypot(base.deviations, least)]
        )
        scale = spread * np.sqrt(_RATE / (2 - _RATE) + 1 / base.outputs)
        scores = (self._recent - before) / scale
        # At the start the moving mean still holds the baseline's.
        now = before + (self._recent - before) / max(1 - self._weight, _RATE)
        names = (*base.marks, *base.measures)
        order = np.argsort(-np.abs(scores), kind="stable")[:most]
        return tuple(
            Shift(
                name=names[i],
                before=float(before[i]),
                now=_within(float(now[i]), share=i < len(base.marks)),
                score=float(scores[i]),
            )
            for i in map(int, order)
            if abs(scores[i]) > 1
        )

    def status(self) -> Mapping[str, float]:
        """Return each family's statistic as a share of its threshold."""
        return dict(self.scores)

    def _new(self, alarm: Alarm) -> bool:
        """Remember an alarm; False for one that is held back as it was before."""
        name = alarm.family
        if name in self.held:
            # What inputs explained they go on to explain; a probe has been asked.
            return False
        if alarm.confounded and not self.held:
            self._held_at = alarm.output
        (self.held if alarm.confounded else self.alarmed)[name] = alarm
        return True

    def _alarm(self, name: str) -> Alarm:
        limit = self._limits[name]
        return Alarm(
            family=name,
            statistic=self.scores[name] * limit,
            threshold=limit,
            output=self.outputs,
            began=self._quiet[name] + 1,
            shifts=self.shifts(),
            inputs=max(self.scores.get("input", 0.0), self.strange),
            explained=self.explained,
        )


def _spread(rates: Floats, outputs: int) -> Floats:
    smoothed = (rates * outputs + 1) / (outputs + 2)
    return np.sqrt(smoothed * (1 - smoothed))


def _within(value: float, *, share: bool) -> float:
    return min(max(value, 0.0), 1.0) if share else value
