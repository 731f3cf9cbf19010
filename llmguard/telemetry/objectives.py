"""Behavioural objectives: what share of a function's calls must be good.

An objective names an indicator (`Sli`) and the share of good events. Indicators are
shares of what `Tally` counts, so an objective may be declared, or changed, later
than the calls that it judges. Objectives are declared with `llmguard.slo`.
"""

from __future__ import annotations

import enum
import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

from .._dataclass import dataclass
from ..errors import ConfigError
from ..outcome import POLICY, Kind, Signal

__all__ = [
    "DAY",
    "Objective",
    "Sli",
    "count",
    "declare",
    "declared",
    "thresholds",
]

DAY: Final = 86_400.0
"""In seconds."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_BROKEN: Final = frozenset({Kind.BAD_JSON, Kind.SCHEMA, Kind.TRUNCATED, Kind.EMPTY})
_JUDGED: Final = frozenset(
    str(kind)
    for kind, policy in POLICY.items()
    if policy.behaviour is not Signal.IGNORE
)
_FAILED: Final = frozenset(
    str(kind) for kind, policy in POLICY.items() if policy.behaviour is Signal.FAILURE
)
_NOBODYS: Final = frozenset({str(Kind.CANCELLED), str(Kind.BAD_REQUEST)})
"""Ends of calls that are the caller's doing, and count as nothing."""


class Sli(enum.StrEnum):
    """What is counted, and what of it is good."""

    SCHEMA_VALID = "schema_valid"
    """First attempts whose answer could be read and fits the schema."""
    CONTRACT_VALID = "contract_valid"
    """First attempts that kept the whole contract."""
    NOT_REFUSED = "not_refused"
    """First attempts that were neither refused nor filtered."""
    ANSWERED = "answered"
    """Calls that got an answer, from any tier or a person's queue."""
    NOT_DEGRADED = "not_degraded"
    """Calls that the first tier answered."""
    FAST = "fast"
    """Answered calls that took no longer than the threshold."""
    UNCORRECTED = "uncorrected"
    """Answers of a version that nobody corrected."""
    ACCEPTED = "accepted"
    """Answers of a version that what comes after it did not reject."""

    @property
    def about(self) -> str:
        """Say in a few words what is good."""
        return _ABOUT[self]


_ABOUT: Final[Mapping[Sli, str]] = {
    Sli.SCHEMA_VALID: "first answers fit the schema",
    Sli.CONTRACT_VALID: "first answers keep the contract",
    Sli.NOT_REFUSED: "first answers are no refusals",
    Sli.ANSWERED: "calls get an answer",
    Sli.NOT_DEGRADED: "calls are answered by the first tier",
    Sli.FAST: "answered calls are fast enough",
    Sli.UNCORRECTED: "answers are not corrected",
    Sli.ACCEPTED: "answers are accepted downstream",
}


_BAD_FIRST: Final[Mapping[Sli, frozenset[str]]] = {
    Sli.SCHEMA_VALID: frozenset(map(str, _BROKEN)),
    Sli.CONTRACT_VALID: _FAILED,
    Sli.NOT_REFUSED: frozenset({str(Kind.REFUSAL), str(Kind.FILTERED)}),
}
_GOOD_CALLS: Final[Mapping[Sli, frozenset[str]]] = {
    Sli.ANSWERED: frozenset({"ok", "degraded", "deferred"}),
    Sli.NOT_DEGRADED: frozenset({"ok"}),
}
_BAD_SIGNAL: Final[Mapping[Sli, str]] = {
    Sli.UNCORRECTED: "corrected",
    Sli.ACCEPTED: "rejected",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share of good events that a function owes its callers.

    Attributes:
        sli: What is counted.
        target: Share that must be good, above 0 and below 1, such as 0.995.
        window: Seconds that it holds over; 30 days unless given.
        name: How reports and metrics call it; by default the indicator's name.
        threshold: For `fast`, the seconds that a call may take.
        owner: Who is asked when it is missed; empty for nobody.

    Raises:
        ConfigError: A field cannot be what it is.
    """

    sli: Sli
    target: float
    window: float = 30 * DAY
    name: str = ""
    threshold: float | None = None
    owner: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sli", Sli(self.sli))
        if not 0 < self.target < 1:
            raise ConfigError(
                f"target {self.target!r} of an objective must be a share above 0 and "
                "below 1, such as 0.995: an objective of 1 leaves no error budget"
            )
        if not DAY <= self.window <= 400 * DAY:
            raise ConfigError(
                f"window {self.window!r} of an objective must be 1 to 400 days, in "
                "seconds; 30 days are usual"
            )
        if (self.sli is Sli.FAST) is (self.threshold is None):
            raise ConfigError(
                f"`threshold={self.threshold!r}` with indicator {self.sli.value!r}: "
                "`fast` needs the seconds that a call may take, the others have none"
            )
        if self.threshold is not None and not 0 < self.threshold < float("inf"):
            raise ConfigError(f"`threshold={self.threshold!r}` must be seconds above 0")
        if not self.name:
            object.__setattr__(self, "name", self._default_name())
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"name {self.name!r} of an objective must be lower-case letters, "
                "digits and `_`: it becomes the label of a metric"
            )

    def _default_name(self) -> str:
        if self.threshold is None:
            return self.sli.value
        return f"within_{self.threshold:g}s".replace(".", "_")

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return 1.0 - self.target

    @property
    def late(self) -> bool:
        """True where only later it is known what was bad: corrections, rejections."""
        return self.sli in _BAD_SIGNAL

    def sentence(self) -> str:
        """Say it: `99.5 % of first answers fit the schema, over 30 days`."""
        within = "" if self.threshold is None else f" (within {self.threshold:g} s)"
        days = f"{self.window / DAY:g} days"
        return f"{100 * self.target:.6g} % of {self.sli.about}{within}, over {days}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data; `Objective(**document)` makes it again."""
        return {
            "sli": str(self.sli),
            "target": self.target,
            "window": self.window,
            "name": self.name,
            "threshold": self.threshold,
            "owner": self.owner,
        }


Row = tuple[str, str, str]
"""Pin, measure and label of one count."""


def count(objective: Objective, row: Row) -> tuple[int, int]:
    """Return what one count adds to good and total, each 0, 1 or -1 times.

    Args:
        objective: What to judge by.
        row: Pin, measure and label, as `Tally.rows` gives them.
    """
    sli = objective.sli
    _, measure, label = row
    if sli in _BAD_FIRST:
        return _first(measure, label, _BAD_FIRST[sli])
    if sli in _GOOD_CALLS:
        return _call(measure, label, _GOOD_CALLS[sli])
    if sli is Sli.FAST:
        return _fast(objective, measure, label)
    return _reported(measure, label, _BAD_SIGNAL[sli])


def _first(measure: str, label: str, bad: frozenset[str]) -> tuple[int, int]:
    if measure != "first" or label not in _JUDGED:
        return 0, 0
    return int(label not in bad), 1


def _call(measure: str, label: str, good: frozenset[str]) -> tuple[int, int]:
    if measure != "call" or label in _NOBODYS:
        return 0, 0
    return int(label in good), 1


def _fast(objective: Objective, measure: str, label: str) -> tuple[int, int]:
    if measure == "call" and label in {"ok", "degraded"}:
        return 0, 1
    return int(measure == "within" and label == f"{objective.threshold:g}"), 0


def _reported(measure: str, label: str, bad: str) -> tuple[int, int]:
    if measure == "answer":
        return 1, 1
    return (-1, 0) if measure == "signal" and label == bad else (0, 0)


_lock = threading.Lock()
_declared: Mapping[str, tuple[Objective, ...]] = {}


def declare(function: str, objectives: Iterable[Objective]) -> None:
    """Hold a function to objectives; one with the same name is replaced.

    Args:
        function: Qualified name, `module.function`.
        objectives: What it owes.
    """
    global _declared  # noqa: PLW0603 - swapped whole, so that readers need no lock
    with _lock:
        mine = {one.name: one for one in _declared.get(function, ())}
        mine |= {one.name: one for one in objectives}
        _declared = {**_declared, function: tuple(mine.values())}


def declared() -> Mapping[str, tuple[Objective, ...]]:
    """Return the objectives of this process by function."""
    return _declared


def thresholds(function: str) -> tuple[float, ...]:
    """Return the latency thresholds in seconds that a function is held to, sorted."""
    found = {one.threshold for one in _declared.get(function, ())}
    return tuple(sorted(seconds for seconds in found if seconds is not None))
