"""Which detector would have fired on a log, when, and what its silence is worth."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from ...errors import ConfigError
from ..sketch import Sketch
from ._baseline import LEAST, Baseline, freeze
from ._calibrate import Calibration, stationary
from ._extract import Extractor
from ._families import FAMILIES
from ._fields import infer_fields
from ._follow import Alarm, Follower, Shift
from ._logs import Logged
from ._rows import Row, Rows
from ._streams import first_alarms

__all__ = [
    "Backtest",
    "LogPart",
    "backtest_parts",
    "learn_baseline",
    "measured_rate",
    "read_part",
    "run_backtest",
]

_MOST: Final = 5_000
_STREAMS: Final = 40
_LONG: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Backtest:
    """What a stream would have shown; results of parts of it add up.

    Added up, each part was watched for itself, from its beginning. Where a partition
    of one log must give what the whole gives, see `read_part`.

    Attributes:
        baseline: Digest of the baseline.
        promised: False alarms per 10,000 outputs, over all families together.
        outputs: Outputs that were read.
        first: The first alarm of each family.
        alarms: Alarms per family; after each one, watching starts anew.
        held: Per family, alarms that other inputs explained, and were not raised.
        inputs: Times that the prompts' own statistic passed its threshold.
        sketch: What the outputs looked like.
    """

    baseline: str
    promised: float
    outputs: int = 0
    first: dict[str, Alarm] = field(default_factory=dict[str, Alarm])
    alarms: Counter[str] = field(default_factory=Counter[str])
    held: Counter[str] = field(default_factory=Counter[str])
    inputs: int = 0
    sketch: Sketch = field(default_factory=Sketch)

    def merge(self, other: Backtest) -> None:
        """Add the result of another part, which comes after this one.

        Raises:
            ConfigError: It was held against another baseline.
        """
        if other.baseline != self.baseline:
            raise ConfigError(
                f"results against the baselines {self.baseline[:19]} and "
                f"{other.baseline[:19]} do not add up: give both runs the same "
                "baseline file and options"
            )
        for name, alarm in other.first.items():
            self.first.setdefault(name, _later(alarm, self.outputs))
        self.outputs += other.outputs
        self.alarms.update(other.alarms)
        self.held.update(other.held)
        self.inputs += other.inputs
        self.sketch.merge(other.sketch)

    def per_10k(self, family: str = "") -> float:
        """Return alarms per 10,000 outputs, of one family or of all."""
        n = self.alarms[family] if family else self.alarms.total()
        return n * 10_000 / self.outputs if self.outputs else 0.0

    def document(self) -> dict[str, Any]:
        """Return it as JSON values; `of` reads it again."""
        return {
            "baseline": self.baseline,
            "promised_per_10k": self.promised,
            "outputs": self.outputs,
            "first": {name: asdict(alarm) for name, alarm in self.first.items()},
            "alarms": dict(self.alarms),
            "alarms_per_10k": self.per_10k(),
            "held": dict(self.held),
            "inputs": self.inputs,
            "sketch": self.sketch.document(),
        }

    @classmethod
    def of(cls, document: Any) -> Backtest:
        """Read what `document` gave.

        Raises:
            ConfigError: It is something else.
        """
        try:
            first = {name: _alarm(alarm) for name, alarm in document["first"].items()}
            return cls(
                baseline=document["baseline"],
                promised=document["promised_per_10k"],
                outputs=document["outputs"],
                first=first,
                alarms=Counter(document["alarms"]),
                held=Counter(document["held"]),
                inputs=document["inputs"],
                sketch=Sketch.from_json(json.dumps(document["sketch"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"this is no result of `llmguard monitor backtest --json`: {error!r}"
            ) from error


def learn_baseline(
    answers: Iterable[Logged],
    *,
    label: str,
    calibration: Calibration | None = None,
    patterns: Mapping[str, str] | None = None,
) -> tuple[Baseline, Extractor, list[Row]]:
    """Make a baseline of a log; its first 5,000 answers are read.

    Args:
        answers: In the order in which they came.
        label: Stands for the pin.
        calibration: The promise.
        patterns: Regular expressions to watch, by name.

    Returns:
        The baseline, what read it, and its rows.

    Raises:
        ConfigError: There are too few answers.
    """
    read = [answer for answer, _ in zip(answers, range(_MOST), strict=False)]
    extractor = Extractor(
        fields=infer_fields(answer.value for answer in read), patterns=patterns or {}
    )
    rows = [extractor.read(one.text, one.value, one.prompt) for one in read]
    made = freeze(
        rows, extractor, function="(backtest)", pin=label, calibration=calibration
    )
    return made, extractor, rows


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A part of a log as numbers, without texts; it can be sent between processes.

    Attributes:
        rows: One for each answer, in order.
        chars: Length of each answer.
    """

    rows: Sequence[Row]
    chars: Sequence[int]


def read_part(extractor: Extractor, answers: Iterable[Logged]) -> LogPart:
    """Read a part of a log: nearly all the work of a backtest, and none of its order.

    Parts are read anywhere; `backtest_parts` then finds in them, given in the log's
    order, exactly what `run_backtest` finds in the whole.
    """
    rows: list[Row] = []
    chars: list[int] = []
    for row, size in _read(extractor, answers):
        rows.append(row)
        chars.append(size)
    return LogPart(rows=rows, chars=chars)


def backtest_parts(
    baseline: Baseline, extractor: Extractor, parts: Iterable[LogPart]
) -> Backtest:
    """Follow a log of which parts were read by others.

    Args:
        baseline: What the log is held against.
        extractor: What read the parts.
        parts: In the order of the log.
    """
    read = (zip(part.rows, part.chars, strict=True) for part in parts)
    return _follow(baseline, extractor, itertools.chain.from_iterable(read))


def run_backtest(
    baseline: Baseline, extractor: Extractor, answers: Iterable[Logged]
) -> Backtest:
    """Follow a log as the monitor would have, in constant memory."""
    return _follow(baseline, extractor, _read(extractor, answers))


def _read(extractor: Extractor, answers: Iterable[Logged]) -> Iterator[tuple[Row, int]]:
    for answer in answers:
        row = extractor.read(answer.text, answer.value, answer.prompt)
        yield row, len(answer.text)


def _follow(
    baseline: Baseline, extractor: Extractor, rows: Iterable[tuple[Row, int]]
) -> Backtest:
    result = Backtest(baseline=baseline.digest, promised=baseline.calibration.per_10k)
    follower = Follower(baseline)
    began, confounded = 0, False
    for row, chars in rows:
        result.outputs += 1
        result.sketch.told("ok")
        result.sketch.read(extractor.marks, row.marks)
        result.sketch.sizes["chars"].add(chars)
        found = follower.see(row)
        others = follower.scores.get("input", 0.0) > 1
        result.inputs += others and not confounded
        confounded = others
        result.held.update(alarm.family for alarm in found if alarm.confounded)
        for alarm in found:
            if alarm.confounded:
                continue
            result.alarms[alarm.family] += 1
            result.first.setdefault(alarm.family, _later(alarm, began))
        if len(follower.alarmed) == len(FAMILIES) or (
            follower.alarmed and follower.outputs >= _LONG
        ):
            began = result.outputs
            follower.restart()
    return result


def measured_rate(
    rows: Sequence[Row], extractor: Extractor, calibration: Calibration
) -> float | None:
    """Return alarms per 10,000 outputs where nothing changed, measured, not promised.

    The detectors are fitted on the first half of the baseline and follow 40 streams
    resampled from the second one. More than was promised means that the baseline
    itself changes over time.

    Returns:
        None when the halves would be too short.
    """
    half = len(rows) // 2
    if half < LEAST:
        return None
    fitted = freeze(
        rows[:half], extractor, function="", pin="", calibration=calibration
    )
    other = Rows.of(rows[half:])
    rng = np.random.default_rng(calibration.seed + 1)
    block = fitted.calibration.block or 1.0
    order = stationary(rng, len(other), (_STREAMS, _LONG), block)
    raised, _ = first_alarms(fitted, other, order)
    alarmed = sum(int((first <= _LONG).sum()) for first in raised.values())
    return alarmed / _STREAMS * 10_000 / _LONG


def _alarm(document: Any) -> Alarm:
    shifts: Any = tuple(Shift(**one) for one in document["shifts"])
    return Alarm(**{**document, "shifts": shifts})


def _later(alarm: Alarm, by: int) -> Alarm:
    return Alarm(
        family=alarm.family,
        statistic=alarm.statistic,
        threshold=alarm.threshold,
        output=alarm.output + by,
        began=alarm.began + by,
        shifts=alarm.shifts,
        inputs=alarm.inputs,
        explained=alarm.explained,
    )
