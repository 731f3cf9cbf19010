"""The rungs of the ladder, and what a difference on one of them is called."""

from __future__ import annotations

import enum
from dataclasses import field
from typing import Final

from .._dataclass import dataclass
from ..contract._show import show
from ._draw import Act

__all__ = ["DIRECTIONS", "TRAITS", "Divergence", "Rung", "Severity", "named_direction"]


class Rung(enum.IntEnum):
    """Where two draws part, most severe first; the first difference decides."""

    ACT = 1
    STRUCTURE = 2
    DECISION = 3
    EXECUTION = 4
    REGISTER = 5

    @property
    def label(self) -> str:
        """The rung in words."""
        return _LABELS[self]


_LABELS: Final = {
    Rung.ACT: "kind of outcome",
    Rung.STRUCTURE: "structure",
    Rung.DECISION: "decision fields, numbers",
    Rung.EXECUTION: "verdict of execution",
    Rung.REGISTER: "register (apart)",
}


class Severity(enum.IntEnum):
    """How much a difference matters to whoever uses the answer."""

    NOTE = 0
    """Worth a look; counted on its path, never in a rate of divergence."""
    MINOR = 1
    MAJOR = 2
    CRITICAL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """One categorical difference between two draws.

    Attributes:
        rung: Where they part.
        path: JSON pointer of the field, `*` for any item of an array (`/calls/*/args`
            for tool calls); or `@act`, `@json`, `@form`, `@valid`, `@calls`, `@script`,
            `@language`, `@executed`, `@markdown`, `@fence`, `@length`, `@sentiment`,
            `@tone`, `@defines`.
        before: What the first draw shows there.
        after: What the second one shows.
        severity: How much it matters.
        note: One phrase for people, where the two ends do not say it all.
        values: What stands there in the two draws, where that is not the ends.
        open: True when the two ends quote values that were never declared: content,
            not metadata.
    """

    rung: Rung
    path: str
    before: str
    after: str
    severity: Severity = Severity.MAJOR
    note: str = ""
    values: tuple[object, object] | None = field(default=None, compare=False)
    open: bool = False

    @property
    def direction(self) -> str:
        """Both ends, such as `answer -> refusal`; directions are never added up."""
        return f"{self.before} -> {self.after}"

    @property
    def detail(self) -> str:
        """One phrase for people, with the values."""
        if self.values is None:
            return self.note or self.direction
        # Written for the few that are shown, not for each of a million.
        old, new = (show(value, path=self.path) for value in self.values)
        return f"{old} -> {new}"

    @property
    def counts(self) -> bool:
        """True for rungs 1 to 4, which the divergence rate is made of."""
        return self.rung < Rung.REGISTER and self.severity > Severity.NOTE

    def sealed(self) -> Divergence:
        """Return it without any content: for records that must not hold answers."""
        return Divergence(
            rung=self.rung,
            path=self.path,
            before=sealed_end(self.before, "value") if self.open else self.before,
            after=sealed_end(self.after, "other value") if self.open else self.after,
            severity=self.severity,
        )


TRAITS: Final = frozenset({"@markdown", "@fence", "@length", "@sentiment", "@tone"})
"""Paths of the fifth rung, which no rate of divergence counts."""

_BARE: Final = frozenset({"null", "(empty)", "value", "other value"})


def sealed_end(end: str, instead: str) -> str:
    """Return one end of an open transition without its content."""
    return end if end in _BARE else instead


_DECLINES: Final = frozenset({Act.REFUSAL, Act.FILTERED})
_BROKEN: Final = frozenset({Act.EMPTY, Act.TRUNCATED, Act.ERROR})
_SERVES: Final = frozenset({Act.ANSWER, Act.CALL, Act.CLARIFICATION})

DIRECTIONS: Final = (
    "newly refuses",
    "newly complies",
    "newly breaks",
    "newly asks back",
    "newly calls tools",
    "no longer calls tools",
)
"""Directions on the first rung that may raise an alarm of their own."""


def named_direction(before: str, after: str) -> str:
    """Return which of `DIRECTIONS` a change of act is; empty for none of them."""
    old, new = Act(before), Act(after)
    found = (
        ("newly refuses", old not in _DECLINES and new in _DECLINES),
        ("newly complies", old in _DECLINES and new in _SERVES),
        ("newly breaks", old not in _BROKEN and new in _BROKEN),
        ("newly asks back", new is Act.CLARIFICATION),
        ("newly calls tools", new is Act.CALL),
        ("no longer calls tools", old is Act.CALL),
    )
    return next((name for name, holds in found if holds), "") if old != new else ""
