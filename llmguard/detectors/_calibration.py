"""How wrong a detector is, measured on labelled texts, and what follows for rates.

With sensitivity `s` and false positive rate `f`, a true rate `p` is observed as
`q = p s + (1 - p) f`. Correcting inverts this (Rogan and Gladen, American Journal of
Epidemiology 107, 1978); widening carries a contract's rates over to `q`.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Final, Self

from ..errors import ConfigError
from ._calibration_file import read_fields, write_fields
from ._intervals import LEVEL, clopper_pearson, percent, true_rate

__all__ = ["ENOUGH", "Calibration"]

ENOUGH: Final = 100
"""Labelled texts below which a calibration says of itself that it is thin."""
_ROUNDING: Final = 1e-6
_KINDS: Final = ("positives", "negatives")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Counts of a detector's hits and misses on texts that people labelled.

    It holds for one detector version and one model family: another model words things
    differently, and its errors must be measured again.

    Attributes:
        detector: Id and version of the detector.
        family: Whose texts were labelled, such as `gpt-4`.
        tp: Labelled positive, and found.
        fn: Labelled positive, and missed.
        tn: Labelled negative, and not found.
        fp: Labelled negative, yet found.
        labels: What was labelled, one phrase: `1 or 2 of 3 labels`; for people.
        source: SHA-256 of the labelled file; empty when there was none.
        made: Day it was made, ISO 8601; empty when unknown.
        negated: What counts is a text *not* found; see `inverted`.

    Raises:
        ConfigError: A count is negative, or one kind of labelled text is missing.
    """

    detector: str
    family: str
    tp: int
    fn: int
    tn: int
    fp: int
    labels: str = ""
    source: str = ""
    made: str = ""
    negated: bool = False

    def __post_init__(self) -> None:
        counts = (self.tp, self.fn, self.tn, self.fp)
        if min(counts) < 0 or not self.positives or not self.negatives:
            raise ConfigError(
                f"a calibration of `{self.detector}` needs labelled texts of both "
                f"kinds; it has {self.positives} positive and {self.negatives} "
                "negative ones. Label some of the missing kind, and calibrate again"
            )

    @property
    def positives(self) -> int:
        """Texts labelled positive."""
        return self.tp + self.fn

    @property
    def negatives(self) -> int:
        """Texts labelled negative."""
        return self.tn + self.fp

    @property
    def sensitivity(self) -> float:
        """Share of the labelled positives that it finds, in [0, 1]."""
        return self.tp / self.positives

    @property
    def specificity(self) -> float:
        """Share of the labelled negatives that it leaves alone, in [0, 1]."""
        return self.tn / self.negatives

    def sensitivity_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the exact interval of `sensitivity` (Clopper and Pearson)."""
        return clopper_pearson(self.tp, self.positives, level)

    def specificity_interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return the exact interval of `specificity` (Clopper and Pearson)."""
        return clopper_pearson(self.tn, self.negatives, level)

    def inverted(self) -> Calibration:
        """Return the calibration of "not found", for rates of compliance."""
        return replace(
            self,
            tp=self.tn,
            fn=self.fp,
            tn=self.tp,
            fp=self.fn,
            negated=not self.negated,
        )

    def correct(
        self, rate: float, n: int, level: float = LEVEL
    ) -> tuple[float, float, float]:
        """Return the true rate behind an observed one, with an interval.

        The estimate is Rogan and Gladen's, cut to [0, 1]. The interval holds with at
        least `level`: the observed rate, the sensitivity and the specificity each get
        an exact interval at a third of the error (Bonferroni), and the ends are the
        worst cases of the three together.

        Args:
            rate: Observed share of texts found, in [0, 1].
            n: Texts observed, at least 1.
            level: Confidence of the interval.

        Returns:
            Estimate, lower end, upper end.

        Raises:
            ConfigError: The detector finds negatives as often as positives, or a
                rate and count that do not make sense.
        """
        if not 0 <= rate <= 1 or n < 1:
            raise ConfigError(
                f"`correct({rate!r}, {n!r})`: the rate must be in [0, 1] and `n` at "
                "least 1"
            )
        each = 1 - (1 - level) / 3
        found, false = self.sensitivity, 1 - self.specificity
        if found <= false:
            raise ConfigError(
                self._blind("no observed rate tells anything of the true")
            )
        seen_low = clopper_pearson(math.floor(rate * n + _ROUNDING), n, each)[0]
        seen_high = clopper_pearson(math.ceil(rate * n - _ROUNDING), n, each)[1]
        found_low, found_high = self.sensitivity_interval(each)
        spec_low, spec_high = self.specificity_interval(each)
        return (
            true_rate(rate, found, false, blind=rate),
            true_rate(seen_low, found_high, 1 - spec_low, blind=0.0),
            true_rate(seen_high, found_low, 1 - spec_high, blind=1.0),
        )

    def widen(
        self,
        tolerate: float,
        unacceptable: float,
        *,
        relative: bool = False,
        level: float = LEVEL,
    ) -> tuple[float, float]:
        """Return a contract's two rates as this detector would observe them.

        The lower one is the largest observed rate that a version at `tolerate` can
        have, the upper one the smallest that a version at `unacceptable` can have,
        with the ends of the exact intervals put in for the detector's errors. So the
        error rates of the decision hold for the *true* rates, on top of a chance of at
        most 1 - level, for each direction, that the calibration itself is off.

        Args:
            tolerate: True rate (or margin) that is fine.
            unacceptable: True rate (or margin) that is not.
            relative: The two are margins between two versions. Both must be of the
                calibrated family: the false positives then cancel.
            level: Confidence in the calibration, for each direction.

        Returns:
            The rates to test observed failures against.

        Raises:
            ConfigError: The detector cannot tell the two rates apart.
        """
        low = self._largest(tolerate, relative, level)
        high = self._smallest(unacceptable, relative, level)
        if low < high:
            return low, high
        raise ConfigError(
            self._blind(
                f"a rate of {tolerate:.2%} may be observed as {low:.2%}, and one of "
                f"{unacceptable:.2%} as {high:.2%}: it cannot tell them apart"
            )
            + self._advice(tolerate, relative, level)
        )

    def separable(
        self, tolerate: float, *, relative: bool = False, level: float = LEVEL
    ) -> float | None:
        """Return the lowest unacceptable rate that `widen` takes beside `tolerate`.

        None when there is none up to 1. Rounded up to a tenth of a per cent.
        """
        low = self._largest(tolerate, relative, level)
        none, one = (self._smallest(rate, relative, level) for rate in (0.0, 1.0))
        if one <= low:
            return None
        least = max(tolerate, (low - none) / (one - none))
        return min(1.0, math.floor(least * 1000 + 1) / 1000)

    def _largest(self, rate: float, relative: bool, level: float) -> float:
        found = self.sensitivity_interval(level)[1]
        false_high, false_low = (1 - end for end in self.specificity_interval(level))
        if relative:
            return rate * (found - false_low)
        return rate * found + (1 - rate) * false_high

    def _smallest(self, rate: float, relative: bool, level: float) -> float:
        found = self.sensitivity_interval(level)[0]
        false_high, false_low = (1 - end for end in self.specificity_interval(level))
        if relative:
            return rate * (found - false_high)
        return rate * found + (1 - rate) * false_low if found > false_low else 0.0

    def _blind(self, what: str) -> str:
        return (
            f"`{self.detector}`, calibrated for `{self.family}`: {what}. "
            f"{self.sentence}"
        )

    def _advice(self, tolerate: float, relative: bool, level: float) -> str:
        least = self.separable(tolerate, relative=relative, level=level)
        wider = "" if least is None else f", give `unacceptable={least:g}` or more"
        return (
            f" Label more texts (`llmguard suite calibrate`), take a better detector"
            f"{wider}, or drop `calibration=` and read the rates as the detector's own"
        )

    @property
    def sentence(self) -> str:
        """One sentence with the measured errors, for reports."""
        found = percent(self.sensitivity, self.sensitivity_interval())
        low, high = self.specificity_interval()
        false = percent(1 - self.specificity, (1 - high, 1 - low))
        kinds = ("negatives", "positives") if self.negated else _KINDS
        does = "leaves alone" if self.negated else "finds"
        thin = self.positives + self.negatives < ENOUGH
        return (
            f"On {self.family}, {self.detector} {does} {found} of {self.positives} "
            f"labelled {kinds[0]} and {false} of {self.negatives} labelled {kinds[1]}"
            + (f"; fewer than {ENOUGH} labelled texts" if thin else "")
            + "."
        )

    def require(self, detector: str) -> None:
        """Raise unless this was measured with just this detector version.

        Raises:
            ConfigError: Another detector, or another version of it.
        """
        if detector != self.detector:
            raise ConfigError(
                f"the calibration is of detector `{self.detector}`, and `{detector}` "
                "decides; label anew with `llmguard suite calibrate`, because another "
                "version has other errors"
            )

    def to_json(self) -> str:
        """Return it as one JSON document."""
        return write_fields(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ConfigError: Not such a document.
        """
        return cls(**read_fields(text, {each.name: each.type for each in fields(cls)}))

    def save(self, path: Path) -> None:
        """Write it to a file that suites can name."""
        path.write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file that `save` or `llmguard suite calibrate` wrote.

        Raises:
            ConfigError: No such file, or not a calibration.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"the calibration {str(path)!r} cannot be read: {error.strerror}; make "
                "it with `llmguard suite calibrate`"
            ) from error
        except ConfigError as error:
            raise ConfigError(f"{str(path)!r}: {error}") from error
