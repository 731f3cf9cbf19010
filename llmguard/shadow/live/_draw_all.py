"""On a shadow's own thread: one sampled request, asked again of both versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...breaker import State
from ...errors import CircuitOpenError
from ...guard import Runtime, use_runtime
from ...guard._capture import detach
from ...guard._deadline import CALL_CONTEXT, CallContext
from ...outcome import Kind
from .._draw import LOST, Draw, Pair
from ._draws import Answer, draw, draw_of, judged_raw

if TYPE_CHECKING:
    from asyncio import Runner

    from ...breaker import VersionBreaker
    from ...pins import Pin
    from ...suite import Prices
    from ._run import LiveRun, Reserve
    from ._work import Work

__all__ = ["Drawer"]

_PER_DOUBLE: Final = 2


class Drawer:
    """Makes the draws of one run's requests.

    Args:
        run: The run.
        reserve: Takes calls out of the store's budget; None without a store.
        prices: What calls cost; None for not known.
    """

    def __init__(
        self, run: LiveRun, *, reserve: Reserve | None, prices: Prices | None
    ) -> None:
        self._run = run
        self._reserve = reserve
        self._prices = prices

    def draw(self, work: Work, loop: Runner) -> Pair | None:
        """Ask both versions what there is to ask; None when nothing was asked."""
        run = self._run
        reason = self._hindrance(work)
        if reason:
            self._count(reason, work)
            return None
        detach()
        outer = CALL_CONTEXT.get()
        CALL_CONTEXT.set(CallContext(None, outer.labels, outer.depth))
        couriers = None
        if run.lane is not None and not run.lane.draining:
            couriers = run.lane.couriers
        runtime = Runtime(
            clock=run.clock, couriers=couriers, routing=work.live.routing, apart=True
        )
        with use_runtime(runtime):
            return self._pair(work, runtime, loop)

    def _hindrance(self, work: Work) -> str:
        """Return why a request is not asked again; takes its calls if it is."""
        run = self._run
        due = run.due()
        if due:
            run.stop(due)
        if run.stopped:
            return "dropped: the shadow has stopped"
        if run.paused:
            return "skipped: the challenger asks for patience"
        breaker = self._breaker(work)
        if breaker.status is State.QUARANTINED:
            run.stop(breaker.snapshot().reason or "the challenger is not what it says")
            return "dropped: the shadow has stopped"
        wanted = 1 + _PER_DOUBLE * work.doubled
        if not run.take(wanted, self._reserve):
            return "dropped: the budget is used up"
        return ""

    def _pair(self, work: Work, runtime: Runtime, loop: Runner) -> Pair | None:
        b = self._challenger(work, runtime, loop)
        if b is None:
            self._run.give_back(1 + _PER_DOUBLE * work.doubled)
            self._count("skipped: the challenger's breaker is open", work)
            return None
        answer = work.answer
        if work.raw:
            answer = judged_raw(work.guard, answer, work.inputs)
        self._tell("incumbent", work, answer, None)
        a = draw_of(answer, self._cost(work.incumbent, answer))
        a2 = b2 = None
        if work.doubled and not b.lost:
            a2 = self._repeat(work, runtime, loop)
            again = self._challenger(work, runtime, loop, name="challenger again")
            b2 = None if again is None or again.lost else again
        elif work.doubled:
            self._run.give_back(_PER_DOUBLE)
        return Pair(
            request=work.request_id,
            a=a,
            b=b,
            a2=a2,
            b2=b2,
            stratum=work.stratum,
            cluster=work.cluster,
        )

    def _challenger(
        self, work: Work, runtime: Runtime, loop: Runner, *, name: str = "challenger"
    ) -> Draw | None:
        """Ask the challenger once, behind its own breaker; None when that is open."""
        run, breaker = self._run, self._breaker(work)
        try:
            permit = breaker.acquire(lease=work.deadline)
        except CircuitOpenError:
            return None
        answer = draw(work, run.pin, runtime, loop)
        breaker.report(
            permit, answer.kind, elapsed=answer.latency, detail=answer.detail
        )
        if answer.kind is Kind.THROTTLED:
            run.pause(answer.retry_after)
        return self._told(name, work, run.pin, answer)

    def _repeat(self, work: Work, runtime: Runtime, loop: Runner) -> Draw | None:
        """Ask the incumbent once more, unless live calls need it to themselves."""
        key = f"{work.guard.name}|{work.incumbent.id}"
        breaker = work.live.breakers.find(key)
        bulkhead = work.guard.steps[0].bulkhead
        closed = breaker is None or breaker.status is State.CLOSED
        if not closed or (bulkhead is not None and bulkhead.taken):
            self._run.give_back(1)
            self._count("skipped: live calls need the incumbent", work)
            return None
        answer = draw(work, work.incumbent, runtime, loop)
        found = self._told("incumbent again", work, work.incumbent, answer)
        return None if found.lost else found

    def _told(self, name: str, work: Work, pin: Pin, answer: Answer) -> Draw:
        cost = self._cost(pin, answer)
        self._tell(name, work, answer, cost)
        return draw_of(answer, cost)

    def _tell(self, name: str, work: Work, answer: Answer, cost: float | None) -> None:
        """Count how a draw ended, how long it took, and what it cost."""
        kind = answer.kind
        self._count(f"{name}: {kind}", work, total=answer.latency)
        if cost:
            self._run.counts.spend(cost)
        usage = answer.usage
        if usage is not None and name != "incumbent":
            tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
            self._count("tokens", work, n=tokens)

    def _cost(self, pin: Pin, answer: Answer) -> float | None:
        if self._prices is None or answer.kind in LOST:
            return None
        return self._prices.cost(pin, answer.usage)

    def _breaker(self, work: Work) -> VersionBreaker:
        return self._run.breakers.get(work.guard.name, self._run.pin.id)

    def _count(self, name: str, work: Work, *, n: int = 1, total: float = 0.0) -> None:
        self._run.counts.add(
            name,
            function=work.guard.name,
            incumbent=work.incumbent.id,
            stratum=work.stratum,
            n=n,
            total=total,
        )
