"""What a detector is: a versioned, pure function of one text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..errors import ConfigError

__all__ = ["Detection", "Detector"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What a detector says of one text.

    Attributes:
        label: One of the detector's labels.
        score: The measured number behind the label; its scale is the detector's.
        why: One phrase for people: the words, the rule or the part that decided.
    """

    label: str
    score: float
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A pure function of a text, with an id that changes when its answers may.

    Your own function becomes one: `Detector(id="greets/1", detect=f,
    labels=("greets", "does not"), positive=frozenset({"greets"}))`.

    Attributes:
        id: Name and version, such as `refusal-lexicon/1`. Suites, calibrations and
            baselines are bound to it: give it a new version whenever the same text may
            get another label or score.
        detect: Called with a text; no state, no input or output, never raises.
        labels: Every label it may give; empty when there are too many to list.
        positive: Labels that count as "found", for rates and calibrations.

    Raises:
        ConfigError: The id has no version, or `positive` names no label of `labels`.
    """

    id: str
    detect: Callable[[str], Detection]
    labels: tuple[str, ...]
    positive: frozenset[str]

    def __post_init__(self) -> None:
        name, slash, version = self.id.partition("/")
        if not (name and slash and version):
            raise ConfigError(
                f"detector id {self.id!r} has no version; write it as `name/1`, and "
                "count up whenever the same text may get another label"
            )
        strange = self.positive - set(self.labels)
        if self.labels and strange:
            raise ConfigError(
                f"detector `{self.id}`: `positive` holds {sorted(strange)!r}; give "
                f"some of its labels, which are {list(self.labels)!r}"
            )

    def __call__(self, text: str) -> Detection:
        """Return what it says of a text."""
        return self.detect(text)

    def found(self, text: str) -> bool:
        """Tell whether the text's label is a positive one."""
        return self.detect(text).label in self.positive

    def outside(self, low: float, high: float) -> Detector:
        """Return a detector of scores outside [low, high], with an id of its own.

        Args:
            low: Smallest score that is inside; `-inf` for no lower end.
            high: Largest score that is inside; `inf` for no upper end.

        Raises:
            ConfigError: The ends are not in order, or one is NaN.
        """
        if not low <= high:
            raise ConfigError(
                f"detector `{self.id}`: the range [{low!r}, {high!r}] is empty; give "
                "the lower end first"
            )

        def detect(text: str) -> Detection:
            seen = self.detect(text)
            place = "below" if seen.score < low else "inside"
            place = "above" if seen.score > high or math.isnan(seen.score) else place
            return replace(seen, label=place)

        return Detector(
            id=f"{self.id}[{low:g},{high:g}]",
            detect=detect,
            labels=("below", "inside", "above"),
            positive=frozenset({"below", "above"}),
        )

    def other_than(self, *allowed: str) -> Detector:
        """Return a detector of every label but these, with an id of its own.

        Args:
            allowed: Labels that are fine, such as `"en"` for a language detector.

        Raises:
            ConfigError: None given, or one that the detector never gives.
        """
        strange = [each for each in allowed if self.labels and each not in self.labels]
        if not allowed or strange:
            raise ConfigError(
                f"detector `{self.id}`: allowed labels {list(allowed)!r} must be some "
                f"of {list(self.labels) or 'its labels'!r}"
            )

        def detect(text: str) -> Detection:
            seen = self.detect(text)
            label = "allowed" if seen.label in allowed else "other"
            why = f"{seen.label}: {seen.why}" if seen.why else seen.label
            return Detection(label=label, score=seen.score, why=why)

        return Detector(
            id=f"{self.id}{{{'|'.join(sorted(allowed))}}}",
            detect=detect,
            labels=("allowed", "other"),
            positive=frozenset({"other"}),
        )
