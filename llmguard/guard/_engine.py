"""The walk down the chain, written once as a generator and driven twice.

Order, outer to inner: deadline, chain, then per tier: bulkhead, retry loop (with its
budget), breaker, attempt timeout, call, contract, record. The generators here do no
I/O, never sleep and never look at a clock of their own: they yield `Run`, `Pull`,
`Give` and `Sleep`, and are sent a `Result`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Final

from .._quick import quick
from ..adapters import Message
from ..errors import (
    CallError,
    CircuitOpenError,
    Deferred,
    FallbackExhaustedError,
)
from ..outcome import POLICY, Attempt, Kind, Outcome
from ..reply import Reply
from ..telemetry import answers, emit, tracing
from ._capture import publish
from ._commands import NO_BREAKER, Admission, Give, Pull, Result, Run, Sleep
from ._judge import Judged, judge, to_error
from ._retry import backoff
from ._traced import trace_attempt, trace_call, trace_call_end, trace_end

if TYPE_CHECKING:
    from ._bulkhead import Bulkhead
    from ._call import Call
    from ._plan import Step

__all__ = ["Command", "Flow", "Tries", "Walk"]

_attempt: Final = quick(Attempt)
_NO_REPLY: Final = Reply()
Command = Run | Pull | Give | Sleep
Flow = Generator[Command, Result, object]
Tries = Generator[Command, Result, Judged | None]


class Walk:
    """One call's way down its chain."""

    __slots__ = ("call", "errors", "published")

    told = True
    """Whether anybody hears of this walk: not of exercises, drills and trials."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.errors: list[CallError] = []
        self.published = False
        if tracing.active is not None and self.told:
            call.trace = trace_call(call)

    def run(self) -> Flow:
        """Walk the chain until a tier answers.

        Returns:
            The answer, as the generator's return value.

        Raises:
            Deferred: A person will answer.
            CallError: The caller's own mistake (`bad_request`), or the failure of a
                function without a chain.
            FallbackExhaustedError: No tier answered.
        """
        try:
            return (yield from self.walk())
        finally:
            # Whatever interrupts a call, between two tries too: one outcome.
            if not self.published:
                self.finish(Kind.CANCELLED)

    def walk(self) -> Flow:
        """Try the tiers in order."""
        for step in self.call.steps:
            tries = self.tries(step)
            judged = None if tries is None else (yield from tries)
            if judged is not None:
                self.finish(Kind.OK, step)
                return judged.value
        raise self.exhausted()

    def tries(self, step: Step) -> Tries | None:
        """Return the way to try one tier; None where it is passed over."""
        now = self.call.clock.monotonic()
        until = self.call.slice_end(step, now)
        reason = "" if step.options.when is None else self.why_not(step)
        if self.call.blocked is not None:
            reason = self.call.blocked.get(step.index, reason)
        if self.call.runtime.apart:
            reason = reason or self.kept_out(step)
        if not reason and until <= now and not step.inline:
            reason = "no time is left of the deadline"
        if not reason and step.bulkhead is None:
            return self._tries(step, until)
        if not reason and step.bulkhead and self._enter(step, step.bulkhead):
            return self._inside(step, step.bulkhead, until)
        self.skip(step, reason or f"all {step.options.concurrency} places are taken")
        return None

    def _enter(self, step: Step, bulkhead: Bulkhead) -> bool:
        """Take a place in the tier; threads that hang in it keep theirs."""
        couriers = self.call.runtime.couriers
        return bulkhead.enter(hung=0 if couriers is None else couriers.hung(step))

    def _inside(self, step: Step, bulkhead: Bulkhead, until: float) -> Tries:
        try:
            return (yield from self._tries(step, until))
        finally:
            bulkhead.leave()

    def _tries(self, step: Step, until: float) -> Tries:
        number = 1
        feedback: tuple[Message, ...] = ()
        if step.options.attempts > 1:
            self.deposit(step)
        while True:
            timeout = self.timeout(step, until)
            admission = self.admit(step, timeout, number)
            if admission is None:
                return None
            run = Run(self.call, step, timeout, feedback, admission)
            if self.call.trace is not None:
                trace_attempt(run, number)
            try:
                result = yield run
            except BaseException as error:
                self.interrupted(run, number, error)
                raise
            judged = None if result.timed_out else run.judged
            if judged is None:
                judged = judge(run, result)
            self.record(run, judged, number)
            if judged.kind is Kind.OK:
                return judged
            again = self.again(run, judged, number, until)
            if again is None:
                return None
            seconds, feedback = again
            if seconds > 0:
                yield Sleep(seconds)
            number += 1

    def deposit(self, step: Step) -> None:
        """Count a first try towards the right to retry."""
        self.call.runtime.budget(self.call.budget_key(step)).deposit()

    def interrupted(
        self, run: Run, number: int, error: BaseException, detail: str = ""
    ) -> None:
        """Record an attempt that was cancelled, which counts as nothing."""
        detail = detail or type(error).__name__
        self.record(run, Judged(kind=Kind.CANCELLED, detail=detail), number)

    def timeout(self, step: Step, until: float) -> float:
        """Return the seconds that one try may take, of what the tier has left."""
        left = until - self.call.clock.monotonic()
        limit = step.options.timeout
        return left if limit is None else min(left, limit)

    def why_not(self, step: Step) -> str:
        """Return why its condition passes this tier over; empty when it does not."""
        when = step.options.when
        if when is None:
            return ""
        try:
            said = when(self.call.tier_context(Run(self.call, step, 0.0)))
        except Exception as error:  # noqa: BLE001 - a broken condition is no answer
            return f"its condition raised {error!r}"
        return "" if said else "its condition said no"

    def kept_out(self, step: Step) -> str:
        """Return why a call that no caller waits for may not use this tier."""
        if step.index:
            return "no caller waits: fallbacks and people are left alone"
        if self.call.guard.idempotent is False:
            return "no caller waits, and the body does harm when it runs twice"
        return ""

    def admit(self, step: Step, timeout: float, number: int) -> Admission | None:
        """Ask the breaker of this pinned version; None when it admits nobody."""
        if step.tier is not None:  # rules, constants, people have no version to trip
            return NO_BREAKER
        call = self.call
        pin = call.pins[step.index]
        breaker = call.runtime.breakers.get(
            call.guard.name,
            "unpinned" if pin is None else pin.id,
            policy=call.guard.breaker,
        )
        try:
            return breaker, breaker.acquire(lease=timeout)
        except CircuitOpenError as error:
            error.tier = step.name
            judged = Judged(kind=Kind.OPEN, detail=str(error), error=error)
            self._note(step, judged, number, call.clock.monotonic())
        # A canary that admits nobody gives its calls back to the active version.
        return self.admit(step, timeout, number) if call.divert(step) else None

    def skip(self, step: Step, reason: str) -> None:
        """Record that a tier was passed over, and why."""
        judged = Judged(kind=Kind.SKIPPED, detail=reason)
        self._note(step, judged, 1, self.call.clock.monotonic())

    def record(self, run: Run, judged: Judged, number: int, /) -> None:
        """Tell the breaker and the call how an attempt ended."""
        elapsed = self.call.clock.monotonic() - run.started - run.paused
        if self.call.watch is not None:
            self.call.watch.tried(run, judged, number)
        model = run.model
        run.model = None  # it asks the run for the time: leave the collector no cycle
        kind = judged.kind
        if run.breaker is not None and run.permit is not None:
            if kind is Kind.TIMEOUT and run.timeout < run.step.latency:
                # It had less time than good answers usually take: the caller was in a
                # hurry, which says nothing about the model.
                kind = Kind.CANCELLED
            run.breaker.report(
                run.permit,
                kind,
                elapsed=elapsed,
                exc=judged.error,
                detail=judged.detail if kind is Kind.WRONG_MODEL else "",
                fingerprint=self.call.fingerprint if number == 1 else None,
            )
        self._note(
            run.step,
            judged,
            number,
            run.started,
            elapsed=elapsed,
            reask=bool(run.feedback),
        )
        if judged.kind is not Kind.OK and judged.reply is not None:
            self.call.propose(judged, judged.reply)
        if run.span is not None:
            trace_end(run.span, model, self.call.attempts[-1], judged.reply)
        if answers.hooks and self.told:
            self.tell(judged)
        if judged.kind is Kind.OK:
            run.step.learn(elapsed)
        elif isinstance(judged.error, Deferred):
            self.finish(Kind.SKIPPED)
            raise judged.error
        elif judged.kind is Kind.BAD_REQUEST and not run.step.index:
            # The caller's mistake: no tier can cure it, and hiding it would be worse.
            # What a lower tier refuses (a smaller context, say) is that tier's limit.
            self.finish(Kind.BAD_REQUEST)
            raise self.errors[-1]

    def tell(self, judged: Judged) -> None:
        """Hand the content of the last attempt to whoever watches behaviour."""
        call, reply = self.call, judged.reply
        if call.runtime.apart:
            return
        answers.emit_answer(
            answers.make_answer(
                call_id=call.call_id,
                function=call.guard.name,
                at=call.at,
                attempt=call.attempts[-1],
                value=judged.value,
                text=None if reply is None else reply.text,
                inputs=call.inputs,
            )
        )

    def again(
        self,
        run: Run,
        judged: Judged,
        number: int,
        until: float,
    ) -> tuple[float, tuple[Message, ...]] | None:
        """Decide on another try of the same tier: seconds to wait and what to quote."""
        step, policy = run.step, POLICY[judged.kind]
        if run.permit is not None and run.permit.probe:
            return None  # a probe asks once; a retry would be one probe too many
        if number >= step.options.attempts or not (policy.retry or policy.reask):
            return None
        feedback: tuple[Message, ...] = ()
        wait = 0.0
        if policy.reask:
            if step.pins is None or judged.verdict is None:
                return None
            feedback = self._feedback(judged)
        else:
            wait = backoff(
                number, policy=self.call.runtime.retry, rng=self.call.runtime.rng
            )
            wait = max(wait, judged.retry_after or 0.0)
        if wait + step.latency >= self.timeout(step, until):
            return None
        budget = self.call.runtime.budget(self.call.budget_key(step))
        return (wait, feedback) if budget.withdraw() else None

    def _feedback(self, judged: Judged) -> tuple[Message, ...]:
        contract = self.call.guard.contract
        if contract is None or judged.verdict is None or judged.reply is None:
            return ()
        text = judged.reply.text or ""
        return (
            Message(role="assistant", content=text),
            Message(role="user", content=contract.feedback(judged.verdict, text)),
        )

    def _note(
        self,
        step: Step,
        judged: Judged,
        number: int,
        started: float,
        *,
        elapsed: float = 0.0,
        reask: bool = False,
    ) -> None:
        call = self.call
        pin = call.pins[step.index]
        pin_id = "" if pin is None else pin.id
        reply = judged.reply or _NO_REPLY
        ticket = judged.error.ticket_id if isinstance(judged.error, Deferred) else ""
        call.attempts.append(
            _attempt(
                tier=step.name,
                tier_index=step.index,
                number=number,
                kind=judged.kind,
                started=started - call.started,
                elapsed=elapsed,
                pin=pin_id,
                model="" if pin is None else pin.model,
                served_model=reply.served_model,
                fingerprint=reply.fingerprint,
                violations=judged.violations,
                detail=judged.detail,
                reask=reask,
                confidence=judged.confidence,
                usage=reply.usage,
                rule=reply.rule,
                ticket_id=reply.ticket_id or ticket,
                prompt_digest=reply.prompt_digest,
            )
        )
        if judged.kind is not Kind.OK:
            self.errors.append(to_error(judged, tier=step.name, pin=pin_id))

    def finish(self, kind: Kind, step: Step | None = None) -> Outcome:
        """Publish the outcome of the call; every path does so once."""
        if step is None:
            outcome = self.call.outcome(kind)
        else:
            outcome = self.call.outcome(kind, step.name, step.index)
        self.published = True
        publish(outcome)
        if not self.call.runtime.apart:
            emit(outcome)
        if self.call.trace is not None:
            trace_call_end(self.call.trace, outcome)
        if self.call.watch is not None:
            self.call.watch.ended(self.call, outcome)
        if step is not None and self.call.runtime.exercise is not None:
            self.call.runtime.exercise(self.call, step)
        return outcome

    def exhausted(self) -> Exception:
        """Publish the failure and return the exception that tells it."""
        kind = self.call.attempts[-1].kind if self.call.attempts else Kind.SKIPPED
        outcome = self.finish(kind)
        if len(self.call.steps) == 1 and self.errors:
            return self.errors[-1]
        tried = ", ".join(f"{a.tier}: {a.kind}" for a in self.call.attempts)
        group = FallbackExhaustedError(
            f"no tier of `{self.call.guard.name}` answered ({tried}); run "
            "`llmguard doctor` to see what each tier lacks",
            self.errors,
        )
        group.outcome = outcome
        return group
