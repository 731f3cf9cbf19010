"""A share of live calls also runs the lower tiers, so that they are known to work.

A fallback that nobody has used for months is a guess. After a call was answered, one
in a hundred (`exercise=` of `@fallback_chain`) is handed to one daemon thread, which
runs the tiers below the one that answered on the same arguments, one at a time. The
caller has its answer by then: an exercise costs it neither time nor an exception.
"""

from __future__ import annotations

import logging
import queue
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from ..telemetry.activity import EXERCISE
from ._capture import detach
from ._deadline import CALL_CONTEXT, CallContext
from ._fitness import NO_EVIDENCE
from ._forks import renew_after_fork
from ._isolate import Couriers
from ._keeper import KEEPER
from ._runtime import default_runtime, use_runtime

if TYPE_CHECKING:
    from asyncio import Runner

    from ..outcome import Attempt, Outcome
    from ._call import Call
    from ._plan import Step

__all__ = ["EXERCISER", "Exerciser", "kept", "sampled"]

_LOG: Final = logging.getLogger("llmguard.exercise")
_CAPACITY: Final = 16
"""Calls that may wait; their arguments stay in memory until they have run."""
_MAX_HUNG: Final = 4
_MAKE: Final[Mapping[type[object], Callable[[Iterable[Any]], Any]]] = {
    list: list[Any],
    set: set[Any],
    tuple: tuple[Any, ...],
}

Record = Callable[[str, "Attempt", float, str], None]


def sampled(call_id: str, share: float) -> bool:
    """Tell whether a call is among the `share` that is exercised.

    It depends on the id alone, so every process and every replay decides alike.
    """
    return zlib.crc32(call_id.encode()) < share * 2**32


class _Work:
    """One call to repeat further down, with copies of its arguments and context."""

    __slots__ = ("context", "given", "guard", "runtime", "steps")

    def __init__(self, call: Call, steps: tuple[Step, ...]) -> None:
        self.guard = call.guard
        self.runtime = call.runtime
        self.steps = steps
        self.given: tuple[tuple[Any, ...], Mapping[str, Any]]
        self.given = kept(call.args), kept(call.kwargs)
        self.context: Context = copy_context()


class Exerciser:
    """One daemon thread with a bounded queue; starts with the first sampled call.

    Args:
        record: Told of every attempt: function, attempt, epoch seconds, source.
        capacity: Calls that may wait; more are dropped.

    Attributes:
        done: Calls whose lower tiers were run.
        dropped: Sampled calls that were not, because too many waited or their
            arguments could not be copied.
        failed: Calls whose exercise itself broke; a warning is in the log.
    """

    def __init__(self, *, record: Record, capacity: int = _CAPACITY) -> None:
        self._record = record
        self._capacity = capacity
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start with nothing waiting and no thread, as a forked child does."""
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting: queue.Queue[_Work | None] = queue.Queue(self._capacity)
        self._couriers = Couriers(max_zombies=_MAX_HUNG)
        self.done = 0
        self.dropped = 0
        self.failed = 0

    def counts(self) -> dict[str, int]:
        """Return what happened so far, for the heartbeat."""
        return {"done": self.done, "dropped": self.dropped, "failed": self.failed}

    def offer(self, call: Call, answered: Step) -> None:
        """Take an answered call when it is among the sampled; never raises or waits."""
        guard = call.guard
        if call.context.depth or not sampled(call.call_id, guard.exercised):
            return
        from ._lone import how_proven  # needed by few calls, and by no import

        steps = tuple(
            step
            for step in call.steps[answered.index + 1 :]
            if how_proven(step) == "exercise"
        )
        if not steps or not guard.managed:
            return
        try:
            self._waiting.put_nowait(_Work(call, steps))
        except (queue.Full, RecursionError, RuntimeError):  # or changed while copied
            with self._lock:
                self.dropped += 1
            return
        self._wake()

    def join(self) -> None:
        """Wait until everything that was taken has been run."""
        self._waiting.join()

    def stop(self) -> None:
        """Run what waits, then end the thread; the next sampled call starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join()

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(
                    target=self._run, name="llmguard-exercise", daemon=True
                )
                with suppress(RuntimeError):  # no more threads: the next call tries
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        from asyncio import Runner

        waiting = self._waiting
        loop = Runner()  # opens its event loop when an async function comes
        while (work := waiting.get()) is not None:
            self._one(work, loop)
            del work  # its arguments are not needed until the next one comes
            waiting.task_done()
        loop.close()
        waiting.task_done()

    def _one(self, work: _Work, loop: Runner) -> None:
        try:
            work.context.run(self._exercise, work, loop)
        except BaseException as error:  # noqa: BLE001 - one bad call ends nothing
            self.failed += 1
            _LOG.warning("exercising %s broke: %r", work.guard.name, error)
        else:
            self.done += 1

    def _exercise(self, work: _Work, loop: Runner) -> None:
        """Run the steps of one call, in a copy of its context."""
        from ._lone import run_lone

        detach()
        outer = CALL_CONTEXT.get()
        CALL_CONTEXT.set(CallContext(None, outer.labels, outer.depth, outer.key))
        # Its own threads: an exercise that hangs must not count against live calls.
        runtime = replace(
            work.runtime,
            couriers=self._couriers,
            managed=False,
            exercise=None,
            watch=None,
        )
        with use_runtime(runtime):
            for step in work.steps:
                if self._idle(step):
                    outcome, _ = run_lone(
                        work.guard, step, runtime, work.given, loop=loop, live=True
                    )
                    self._tell(outcome)

    def _idle(self, step: Step) -> bool:
        """Tell whether no live call could miss what the exercise takes.

        A tier in use proves itself; one whose last exercise hangs is not asked again.
        """
        busy = step.bulkhead is not None and step.bulkhead.taken > 0
        return not busy and not self._couriers.hung(step)

    def _tell(self, outcome: Outcome) -> None:
        for attempt in outcome.attempts:
            if attempt.kind not in NO_EVIDENCE:
                self._record(outcome.function, attempt, outcome.at, EXERCISE)


def kept(value: object) -> Any:
    """Copy plain containers: the caller may change its own after the call."""
    make = _MAKE.get(type(value))
    if make is not None:
        return make(kept(item) for item in cast("Iterable[object]", value))
    if type(value) is dict:
        items = cast("dict[object, object]", value).items()
        return {key: kept(item) for key, item in items}
    return value


EXERCISER: Final = Exerciser(record=KEEPER.activity.note)
"""Exercises the lower tiers of this process's chains."""
default_runtime().exercise = EXERCISER.offer
