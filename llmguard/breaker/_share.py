"""What one breaker tells the store, and what it makes of what others told it.

Every process keeps its own view; the store carries news. Who wins when two disagree:

1. forced closed by a person, 2. quarantine, 3. any other act of a person,
4. what breakers found out by themselves; among equals, the later one.

Of what other breakers found out, a process believes only what it has no evidence
against: it opens with them unless its own recent calls are well, and it closes with
them unless its own failures are later. So one process probes for all, and a fleet that
opened at once recovers at once; where only this process cannot reach the provider, the
word of the others costs it one more run of failures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..clock import Clock
from ._machine import AUTOMATIC, BREAKER, Machine
from .policy import State

if TYPE_CHECKING:
    from ..store.protocol import BreakerRow

__all__ = ["Share"]

_PROTECTED: Final = {
    State.FORCED_CLOSED: 3,
    State.QUARANTINED: 2,
    State.FORCED_OPEN: 1,
}


_STATES: Final = {state.value: state for state in State}


def _rank(state: State, actor: str) -> int:
    return _PROTECTED.get(state, 0 if actor == BREAKER else 1)


class Share:
    """One breaker's published state; used under the breaker's lock.

    Attributes:
        dirty: True while the store has not got the local state.
        since: Epoch seconds of the last transition.
        until: Epoch seconds when an open breaker may admit probes, else None.
    """

    __slots__ = (
        "_adopted",
        "_clock",
        "_key",
        "_machine",
        "_rev",
        "dirty",
        "since",
        "until",
    )

    def __init__(self, key: str, machine: Machine, clock: Clock) -> None:
        self._key = key
        self._machine = machine
        self._clock = clock
        self._rev = 0
        self._adopted = False
        self.dirty = True
        self.since = clock.time()
        self.until: float | None = None

    def moved(self, now: float) -> None:
        """Note a local transition."""
        machine = self._machine
        self.dirty, self._adopted = True, False
        self.since = self._clock.time()
        self.until = None
        if machine.state is State.OPEN:
            self.until = self.since + machine.until - now
        elif machine.state is State.HALF_OPEN:
            self.until = self.since + machine.policy.probe_lease

    def row(self) -> BreakerRow:
        """Return the row to write."""
        # Here, because the store's package loads a database driver.
        from ..store.protocol import BreakerRow

        machine = self._machine
        return BreakerRow(
            key=self._key,
            state=machine.state.value,
            reason=machine.reason,
            since=self.since,
            until=self.until,
            rev=self._rev,
            actor=machine.actor,
        )

    def probing(self, now: float) -> BreakerRow | None:
        """Return the row that reserves the probes; None when nobody waits for one."""
        machine = self._machine
        if not machine.wanted or machine.state is not State.OPEN or self.dirty:
            return None
        if now < max(machine.until, machine.hold):
            return None
        at = self._clock.time()
        lease = machine.policy.probe_lease
        row = self.row()
        return replace(row, state=State.HALF_OPEN.value, since=at, until=at + lease)

    def published(self, row: BreakerRow, generation: int) -> None:
        """Note that the store holds what this breaker was in `generation`."""
        self._rev = row.rev
        self.dirty = generation != self._machine.generation

    def lost(self) -> None:
        """Note that the store holds no row: it is new, or it was replaced."""
        self._rev = 0
        self.dirty = True

    def adopt(self, row: BreakerRow, now: float) -> None:
        """Take over what another process wrote, as far as it counts here."""
        state = _STATES.get(row.state)
        if state is None or (row.rev == self._rev and self._holds(state)):
            return  # what only a newer version knows, or nothing new
        # A revision that did not grow means a store that was replaced: what a person
        # or a quarantine decided before is then told to it again.
        self.dirty |= row.rev <= self._rev
        self._rev = row.rev
        machine = self._machine
        own = _rank(machine.state, machine.actor)
        if self.dirty and own and own >= _rank(state, row.actor):
            return
        if machine.state is state or machine.generation == 0:
            self.dirty = False
        if state not in AUTOMATIC:
            self._follow(row, state, now)
        elif state is State.CLOSED and row.actor != BREAKER:
            self._lift(row, now)
        else:
            self._lift(row, now, only_from=frozenset(State) - AUTOMATIC)
            self._heed(row, state, now)

    def _holds(self, state: State) -> bool:
        """Tell whether a row of the known revision may well be this breaker's own."""
        own = self._machine.state
        return self.dirty or own in AUTOMATIC or own is state

    def _follow(
        self, row: BreakerRow, state: State, now: float, until: float = 0.0
    ) -> None:
        machine = self._machine
        if machine.state is not state:
            machine.move(state, now, row.reason, row.actor, until)
        self._took(row)

    def _lift(
        self,
        row: BreakerRow,
        now: float,
        only_from: frozenset[State] = frozenset(State),
    ) -> None:
        """Close: a person released it, here or before what the row tells."""
        machine = self._machine
        if machine.state in only_from:
            machine.release(now, row.reason, row.actor)
            self._took(row)

    def _heed(self, row: BreakerRow, state: State, now: float) -> None:
        """Weigh what another process's breaker found out by itself."""
        machine = self._machine
        ends = now + self._remaining(row)
        if state is State.CLOSED:
            machine.hold = 0.0
            later = row.since > self.since
            if (self._adopted or later) and machine.state is State.OPEN:
                self._follow(row, state, now)
        elif ends <= now:
            return
        elif machine.state is State.OPEN and state is State.HALF_OPEN:
            machine.hold = ends
        elif machine.state is State.OPEN and row.since > self.since:
            # Its probes failed between two of our looks: ours would find the same.
            machine.hold = max(machine.hold, ends)
        elif machine.state is State.CLOSED and not machine.healthy(now):
            self._follow(row, State.OPEN, now, ends)
            self._adopted = True

    def _remaining(self, row: BreakerRow) -> float:
        """Return seconds until the row's `until`; clocks may differ, so bounded."""
        policy = self._machine.policy
        left = (row.until or 0.0) - self._clock.time()
        return min(max(left, 0.0), policy.open_cap * (1 + policy.jitter))

    def _took(self, row: BreakerRow) -> None:
        self.dirty = False
        self.since, self.until = row.since, row.until
