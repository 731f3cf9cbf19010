"""Which upgrades a route has seen, and how each ended, from its ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...promotion.types import PERSON_ONLY
from ...store import Action, Entry

__all__ = ["Upgrade", "upgrades"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """One version's way to users, and perhaps back.

    Attributes:
        number: 1 for the first upgrade of the route.
        env: Environment.
        route: Name of the route.
        pin: Id of the version.
        incumbent: Id of the version that served when it came; empty when none did.
        entries: Its entries in the ledger, in order.
        began: Epoch seconds of its first entry.
        exposed: Epoch seconds when users first met it, as canary or in full.
        ended: Epoch seconds when it stopped being the newest; None while it is.
        end: `serving`, `canary`, `rolled back`, `quarantined`, `replaced`, `retired`.
        automatic: True when the library itself ended it.
    """

    number: int
    env: str
    route: str
    pin: str
    incumbent: str
    entries: Sequence[Entry]
    began: float
    exposed: float
    ended: float | None
    end: str
    automatic: bool

    @property
    def smooth(self) -> bool:
        """True unless it was taken back."""
        return self.end not in {"rolled back", "quarantined"}

    @property
    def revisions(self) -> str:
        """Its place in the ledger: `r3 to r7`."""
        first, last = self.entries[0].rev, self.entries[-1].rev
        return f"r{first}" if first == last else f"r{first} to r{last}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data, without the entries."""
        return {
            "route": self.route,
            "number": self.number,
            "pin": self.pin,
            "incumbent": self.incumbent,
            "exposed": self.exposed,
            "ended": self.ended,
            "end": self.end,
            "automatic": self.automatic,
        }


@dataclass(slots=True, kw_only=True)
class _Course:
    """An upgrade while its entries are read."""

    pin: str
    incumbent: str = ""
    entries: list[Entry] = field(default_factory=list[Entry])
    exposed: float | None = None
    ended: float | None = None
    end: str = "canary"
    automatic: bool = False

    def close(self, entry: Entry, end: str) -> None:
        self.ended, self.end = entry.at, end
        self.automatic = entry.actor == PERSON_ONLY


def upgrades(entries: Sequence[Entry]) -> list[Upgrade]:
    """Return the upgrades among the entries of one route of one environment.

    An upgrade is a version that users met. The first version of a route, which replaced
    none, is none; a version that is tried again after its quarantine is another.

    Args:
        entries: All entries of the route, oldest first.
    """
    reader = _Reader()
    for entry in entries:
        reader.take(entry)
    found = sorted(
        (one for one in reader.courses if one.exposed is not None),
        key=lambda one: one.exposed or 0.0,
    )
    return [_made(number, one) for number, one in enumerate(found, 1)]


class _Reader:
    """Follows the entries of a route."""

    def __init__(self) -> None:
        self.courses: list[_Course] = []
        self.open: dict[str, _Course] = {}
        self.active = ""

    def take(self, entry: Entry) -> None:
        """Read one entry."""
        if entry.action is Action.ROLLBACK:
            self._leave(entry, entry.prev_pin, "rolled back")
            self.active = entry.pin
        elif entry.action is Action.QUARANTINE:
            self._leave(entry, entry.pin, "quarantined")
        elif entry.action is Action.RETIRE:
            self._leave(entry, entry.pin, "retired")
        elif entry.action is Action.PROMOTE:
            self._promote(entry)
        else:
            course = self._course(entry)
            if entry.action is Action.CANARY:
                self._expose(course, entry)

    def _promote(self, entry: Entry) -> None:
        previous = entry.prev_pin or self.active
        if previous and previous != entry.pin:
            course = self._course(entry)
            self._expose(course, entry)
            course.end = "serving"
            before = self.open.pop(previous, None)
            if before is not None:
                before.close(entry, "replaced")
        else:  # it replaced nobody: the first of the route
            self.open.pop(entry.pin, None)
        self.active = entry.pin

    def _expose(self, course: _Course, entry: Entry) -> None:
        """Note when users met the version first, and what served them until then."""
        if course.exposed is None:
            course.exposed = entry.at
            course.incumbent = entry.prev_pin or self.active

    def _course(self, entry: Entry) -> _Course:
        """Return the version's course, a new one where none is under way."""
        course = self.open.get(entry.pin)
        if course is None:
            course = self.open[entry.pin] = _Course(pin=entry.pin)
            self.courses.append(course)
        course.entries.append(entry)
        return course

    def _leave(self, entry: Entry, pin: str, end: str) -> None:
        course = self.open.pop(pin, None)
        if course is not None:
            course.entries.append(entry)
            course.close(entry, end)


def _made(number: int, course: _Course) -> Upgrade:
    first = course.entries[0]
    return Upgrade(
        number=number,
        env=first.env,
        route=first.route,
        pin=course.pin,
        incumbent=course.incumbent,
        entries=tuple(course.entries),
        began=first.at,
        exposed=course.exposed or first.at,
        ended=course.ended,
        end=course.end,
        automatic=course.automatic,
    )
