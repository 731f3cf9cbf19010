"""In the caller's thread: which calls are sampled, and what is taken along of them.

Everything here is short, takes no lock for long, waits for nothing and raises nothing.
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ...guard._exercise import kept
from ...outcome import Kind
from ._sample import digest_of
from ._spec import spec_of
from ._work import Seen, Work, mode_of

if TYPE_CHECKING:
    from ...guard._call import Call
    from ...guard._commands import Run
    from ...guard._judge import Judged
    from ...outcome import Outcome
    from ...pins import Pin
    from ._run import LiveRun

__all__ = ["Follower", "follow"]

_LOG: Final = logging.getLogger("llmguard.shadow")
_REQUEST: Final = "request_id"
_UNIT: Final = "unit"


def follow(call: Call, runs: tuple[LiveRun, ...]) -> Follower | None:
    """Return who follows a call; None when no shadow samples it."""
    labels = call.context.labels
    request_id = dict(labels).get(_REQUEST, call.call_id) if labels else call.call_id
    wanted: list[tuple[LiveRun, str]] = []
    for run in runs:
        if run.stopped:
            continue
        stratum = run.stratum(labels)
        run.counts.add("seen", function=call.guard.name, stratum=stratum)
        if run.wants(request_id, stratum):
            wanted.append((run, stratum))
    return Follower(request_id, wanted) if wanted else None


class Follower:
    """Follows one sampled call; implements `Watch`."""

    __slots__ = ("_request_id", "_seen", "_wanted")

    def __init__(self, request_id: str, wanted: list[tuple[LiveRun, str]]) -> None:
        self._request_id = request_id
        self._wanted = wanted
        self._seen = Seen()

    def tried(self, run: Run, judged: Judged, number: int) -> None:
        """Take an attempt of the first tier."""
        del number
        if run.step.index:
            return
        try:
            self._seen.take(run, judged)
        except Exception as error:  # noqa: BLE001 - a foreign object may raise anything
            self._seen.lost = f"reading it raised {type(error).__name__}"

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Hand the call to every shadow that samples it."""
        for run, stratum in self._wanted:
            try:
                reason = self._offer(run, stratum, call, outcome)
            except Exception as error:  # noqa: BLE001 - arguments may refuse to be copied
                reason = f"dropped: copying raised {type(error).__name__}"
                _LOG.debug("a call cannot be shadowed", exc_info=True)
            if reason:
                _count(run, reason, call, stratum)

    def _offer(self, run: LiveRun, stratum: str, call: Call, outcome: Outcome) -> str:
        """Put the call in the lane; returns what kept it out, empty for nothing."""
        _count(run, "sampled", call, stratum)
        seen, pin = self._seen, call.pins[0]
        if seen.answer is None:
            return f"degraded: {_why_lost(seen, outcome)}"
        if pin is None or pin.id == run.pin.id:
            return "skipped: the challenger itself answered"
        source = call.steps[0].pins
        if source is not None and pin.id != source.current.id:
            return "skipped: another version than the active one answered"
        work, reason = self._work(run, stratum, call, pin)
        if work is None:
            return f"skipped: {reason}"
        if run.lane is None or not run.lane.put(work):
            return "dropped: the queue is full"
        return ""

    def _work(
        self, run: LiveRun, stratum: str, call: Call, pin: Pin
    ) -> tuple[Work | None, str]:
        guard, seen, options = call.guard, self._seen, run.options
        spec = spec_of(guard)
        wanted = options.run
        if spec is not None and spec.options.run != "auto":
            wanted = spec.options.run
        mode, reason = mode_of(call, seen, wanted)
        if mode is None or seen.answer is None:
            return None, reason
        body = mode == "body"
        answer = seen.answer if body or seen.pure or seen.last is None else seen.last
        given: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        if body:
            given = (kept(call.args), kept(call.kwargs))
        who = dict(call.context.labels).get(options.cluster, "")
        if options.cluster == _UNIT:
            who = who or call.unit
        limit = (spec and spec.options.deadline) or options.deadline or guard.seconds
        work = Work(
            call_id=call.call_id,
            request_id=self._request_id,
            at=call.at,
            guard=guard,
            incumbent=pin,
            answer=answer,
            mode=mode,
            given=given,
            inputs=kept(call.inputs),
            request=None if body else seen.request,
            live=call.runtime,
            context=copy_context(),
            deadline=limit,
            stratum=stratum,
            cluster=digest_of(who, run.key) if who else "",
            doubled=run.doubles(self._request_id),
            raw=not body and not seen.pure,
        )
        return work, ""


def _why_lost(seen: Seen, outcome: Outcome) -> str:
    """Return why the incumbent's own answer cannot be compared."""
    if seen.lost:
        return seen.lost
    first = next((a for a in outcome.attempts if a.tier_index == 0), None)
    return str(first.kind if first is not None else Kind.SKIPPED)


def _count(run: LiveRun, name: str, call: Call, stratum: str) -> None:
    run.counts.add(name, function=call.guard.name, stratum=stratum)
