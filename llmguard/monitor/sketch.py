"""Figures of constant size that add up: over time, threads, processes and hosts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, ClassVar, Final

from .._dataclass import dataclass

__all__ = ["Histogram", "Sketch"]

_GROWTH: Final = math.log(1.05)
_LARGEST: Final = 400
_SMALLEST: Final = -200
_LABELS: Final = 64
"""Distinct labels of one detector; more are counted as `_other`."""
_OTHER: Final = "_other"


class Histogram:
    """Counts in buckets that are 5 % wide: quantiles within 2.5 %, added by adding.

    Values from about 0.00006 to 300,000,000 are told apart; zero and below share one
    bucket.
    """

    __slots__ = ("counts", "n", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.n = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value; one that is not finite is left out."""
        if not math.isfinite(value):
            return
        key = _SMALLEST
        if value > 0:
            key = min(max(int(math.log(value) // _GROWTH), _SMALLEST), _LARGEST)
        self.counts[key] = self.counts.get(key, 0) + 1
        self.n += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        """Add another one's counts."""
        for key, count in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + count
        self.n += other.n
        self.total += other.total

    @property
    def mean(self) -> float:
        """Mean of all values; 0 for none."""
        return self.total / self.n if self.n else 0.0

    def quantile(self, share: float) -> float:
        """Return the value that a share of all are not above; 0 for none."""
        left = share * self.n
        for key in sorted(self.counts):
            left -= self.counts[key]
            if left <= 0:
                return 0.0 if key == _SMALLEST else math.exp((key + 0.5) * _GROWTH)
        return 0.0

    def document(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "counts": {str(k): v for k, v in self.counts.items()},
            "sum": self.total,
        }

    @classmethod
    def of(cls, document: Any) -> Histogram:
        """Read what `document` gave."""
        made = cls()
        made.counts = {int(k): int(v) for k, v in document["counts"].items()}
        made.n = sum(made.counts.values())
        made.total = float(document["sum"])
        return made


def _histograms() -> dict[str, Histogram]:
    return {name: Histogram() for name in Sketch.SIZES}


@dataclass(slots=True, kw_only=True)
class Sketch:
    """What one version's outputs looked like over some time.

    Attributes:
        answers: Answers told, sampled or not.
        kinds: How they ended, by outcome kind, sampled or not.
        outputs: Accepted answers that were read.
        marks: Of those, how many had each mark.
        sizes: `chars` and `seconds` of outputs; `input_tokens`, `output_tokens` and
            `cost` (US dollars) where they are known.
        labels: What each text detector said, by its id.
    """

    SIZES: ClassVar = ("chars", "seconds", "input_tokens", "output_tokens", "cost")

    answers: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    outputs: int = 0
    marks: Counter[str] = field(default_factory=Counter[str])
    sizes: dict[str, Histogram] = field(default_factory=_histograms)
    labels: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def told(self, kind: str, n: int = 1) -> None:
        """Count answers that ended in `kind`."""
        self.answers += n
        self.kinds[kind] += n

    def read(self, names: Iterable[str], flags: Iterable[bool]) -> None:
        """Count the marks of one output."""
        self.outputs += 1
        for name, there in zip(names, flags, strict=True):
            if there:
                self.marks[name] += 1

    def label(self, detector: str, label: str) -> None:
        """Count what a detector said of one output."""
        counts = self.labels.setdefault(detector, Counter())
        known = label in counts or len(counts) < _LABELS
        counts[label if known else _OTHER] += 1

    def merge(self, other: Sketch) -> None:
        """Add another one's figures."""
        self.answers += other.answers
        self.outputs += other.outputs
        self.kinds.update(other.kinds)
        self.marks.update(other.marks)
        for name, histogram in other.sizes.items():
            self.sizes.setdefault(name, Histogram()).merge(histogram)
        for name, counts in other.labels.items():
            self.labels.setdefault(name, Counter()).update(counts)

    def rate(self, mark: str) -> float:
        """Return the share of outputs with a mark; 0 when none was read."""
        return self.marks[mark] / self.outputs if self.outputs else 0.0

    def document(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "answers": self.answers,
            "kinds": dict(self.kinds),
            "outputs": self.outputs,
            "marks": dict(self.marks),
            "sizes": {name: each.document() for name, each in self.sizes.items()},
            "labels": {name: dict(each) for name, each in self.labels.items()},
        }

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.document(), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Sketch:
        """Read what `to_json` wrote."""
        read: Any = json.loads(text)
        sizes: Mapping[str, Any] = read["sizes"]
        labels: Mapping[str, Any] = read["labels"]
        return cls(
            answers=read["answers"],
            kinds=Counter(read["kinds"]),
            outputs=read["outputs"],
            marks=Counter(read["marks"]),
            sizes={name: Histogram.of(each) for name, each in sizes.items()},
            labels={name: Counter(each) for name, each in labels.items()},
        )
