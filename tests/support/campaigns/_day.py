"""A day of calls in virtual time: outages by the hour, and the books at its end."""

from __future__ import annotations

import gc
import json
import threading
import tracemalloc
from collections import Counter
from typing import Any, Final

from llmguard import INJECTED, Model, capture, contract, fallback_chain, pinned, static
from llmguard.breaker import State
from llmguard.guard import RetryPolicy
from llmguard.monitor.slo import statuses
from llmguard.outcome import Kind
from llmguard.store import SqliteStore
from llmguard.telemetry.growth import Growth
from llmguard.telemetry.objectives import Objective, Sli
from llmguard.telemetry.tally import Tally
from llmguard.testing import FakeModel, HttpError, Refusal, VirtualClock, isolated

from ._calls import HIGH, LOW
from ._room import Room

__all__ = ["a_day"]

DAY: Final = 86_400.0
OUTAGES: Final = ((2, 3), (9, 10), (13, 14), (20, 21))
"""Hours of the day in which the model is down."""


class _Day:
    """A model that is down by the clock, refuses now and then, and is counted."""

    def __init__(self, folder: Any, seconds: float) -> None:
        self.clock = VirtualClock(autojump=True, epoch=1_750_000_000.0)
        self.store = SqliteStore(folder / "day.db", clock=self.clock, synchronous="OFF")
        self.seconds = seconds
        self.tally = Tally()
        self.growth = Growth(self.tally)
        self.outcomes: Counter[str] = Counter()
        self.begun = self.clock.monotonic()
        fake = FakeModel(self._answer, clock=self.clock)

        @fallback_chain(static(LOW), deadline=5.0)
        @contract({"type": "object", "required": ["priority"]})
        @pinned(fake.pin("day"))
        def triage(text: str, *, model: Model = INJECTED) -> Any:
            return model.complete(text)

        self.triage = triage
        self.fake = fake
        self.calls = 0

    @property
    def hour(self) -> float:
        """Hours since the day began."""
        return (self.clock.monotonic() - self.begun) / 3600.0

    @property
    def down(self) -> bool:
        """Tell whether the model is down at this time."""
        return any(begin <= self.hour < end for begin, end in OUTAGES)

    def _answer(self, _request: object) -> Any:
        if self.down:
            return HttpError(503)
        return Refusal() if self.calls % 500 == 7 else HIGH

    def call(self) -> str:
        """Make one call; return a loss, or nothing."""
        self.calls += 1
        with capture() as outcomes:
            answer = self.triage(f"ticket {self.calls}")
        (outcome,) = outcomes
        self.tally(outcome)
        self.outcomes[f"{outcome.kind}/{outcome.tier_index}"] += 1
        return "" if answer in (HIGH, LOW) else f"call {self.calls}: {answer!r}"

    def keep_books(self) -> None:
        """Move the counts to the store, as the keeper does."""
        batch = self.growth.batch(self.clock.time())
        self.fake._calls.clear()  # the fake remembers what it was asked, not llmguard
        if batch is not None:
            self.store.counts.add(
                "prod", batch.rows, source=batch.source, number=batch.number,
                at=batch.at,
            )  # fmt: skip
            self.growth.done()


def a_day(room: Room) -> None:
    """No leak, no call unanswered, breakers closed, the objective's sums exact."""
    day = _Day(room.folder, 60.0 if room.size == 1 else 10.0)
    threads = threading.active_count()
    with isolated(clock=day.clock) as runtime:
        runtime.retry = RetryPolicy(base=0.01, cap=0.01)
        (function,) = {_first_name(day)}
        objective = Objective(sli=Sli.NOT_DEGRADED, target=0.9, window=DAY)
        day.store.counts.put_objectives(
            "prod", {(function, objective.name): json.dumps(objective.document())},
            at=day.clock.time(),
        )  # fmt: skip
        early = late = 0
        tracemalloc.start()
        while day.hour < 24.0:
            if loss := day.call():
                room.lost.append(loss)
            day.clock.advance(day.seconds)
            if day.calls % 6 == 0:
                day.keep_books()
            if early == 0 and day.hour > 6.0:
                early = _held()
        late = _held()
        tracemalloc.stop()
        day.keep_books()
        (breaker,) = runtime.breakers.all()
        room.check(breaker.status is State.CLOSED, f"at the end {breaker.status}")
    room.did("calls", day.calls)
    room.check(threading.active_count() <= threads + 1, "threads were left")
    room.check(late - early < 200_000, f"memory grew by {late - early} bytes")
    _books(room, day)
    day.store.close()


def _first_name(day: _Day) -> str:
    with capture() as outcomes:
        day.triage("name")
    return outcomes[0].function


def _held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _books(room: Room, day: _Day) -> None:
    """The objective's sums are those of the outcomes themselves."""
    (status,) = statuses(day.store, "prod", now=day.clock.time())
    overall = status.overall
    good = day.outcomes[f"{Kind.OK}/0"]
    room.check(
        (overall.good, overall.total) == (good, day.calls),
        f"the books say {overall.good} of {overall.total}, it was {good} of "
        f"{day.calls}",
    )
    # Four hours of 24 were down, less what probes found out late.
    share = good / day.calls
    room.check(0.8 < share < 0.85, f"the first tier answered {share:.3f}")
    room.check(overall.firing is None or day.hour < 24.5, "an alert still fires")
