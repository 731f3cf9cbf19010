"""What the engine asks its driver to do, and what the driver answers."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .._dataclass import dataclass
from ..adapters import ready_provider
from ..errors import ConfigError
from ._bounded import all_scalars
from ._deadline import CALL_CONTEXT, CallContext
from ._judge import judge

if TYPE_CHECKING:
    from ..adapters import Message, Model
    from ..breaker import Permit, VersionBreaker
    from ..telemetry.tracing import AttemptTrace
    from ._call import Call
    from ._judge import Judged
    from ._plan import Step

__all__ = [
    "END",
    "NO_BREAKER",
    "Admission",
    "Give",
    "Pull",
    "Result",
    "Run",
    "Sleep",
]

Admission: TypeAlias = "tuple[VersionBreaker, Permit] | tuple[None, None]"
"""The breaker's permit for one attempt; both None for tiers without a breaker."""

END = object()
"""What `Pull` answers when the stream is over."""
NO_BREAKER: Final[Admission] = (None, None)

_MAX_DEPTH = 8


@dataclass(slots=True)
class Result:
    """How a command ended: a value, an error, or the driver's clock ran out."""

    value: object = None
    error: Exception | None = None
    timed_out: bool = False


@dataclass(slots=True)
class Sleep:
    """Wait before the next try."""

    seconds: float


@dataclass(slots=True)
class Give:
    """Hand one chunk of a stream to the consumer."""

    chunk: object


class Run:
    """Run one tier once; `timeout` is this attempt's share of the deadline.

    `breaker` and `permit` are those of the version that it asks, if any. `paused` is
    the time that the consumer of a stream kept it waiting; `left` says that its thread
    was abandoned; `inner` is the call context of an async stream's body; `span` is
    there while somebody traces. `judged` is the judgement of an answer that was judged
    where it came; `checking` says that it had come.
    """

    __slots__ = (
        "breaker",
        "call",
        "checking",
        "deadline_at",
        "feedback",
        "inner",
        "judged",
        "left",
        "model",
        "paused",
        "permit",
        "scope",
        "span",
        "started",
        "step",
        "timeout",
    )

    def __init__(
        self,
        call: Call,
        step: Step,
        timeout: float,
        feedback: tuple[Message, ...] = (),
        admission: Admission = NO_BREAKER,
    ) -> None:
        self.call = call
        self.step = step
        self.timeout = timeout
        self.feedback = feedback
        self.breaker: VersionBreaker | None = admission[0]
        self.permit: Permit | None = admission[1]
        self.started = call.clock.monotonic()
        self.paused = 0.0
        self.deadline_at = self.started + timeout
        self.model: Model | None = None
        self.scope: Context | None = None
        self.inner: CallContext | None = None
        self.span: AttemptTrace | None = None
        self.left = False
        self.checking = False
        self.judged: Judged | None = None

    def is_bounded(self) -> bool:
        """Tell whether it ends by itself when its time is over: no thread is needed."""
        call = self.call
        pin = call.pins[self.step.index]
        if pin is None or call.runtime.chaos is not None:
            return False
        provider = ready_provider(pin)
        return getattr(provider, "bounded", False) and all_scalars(call.inputs.values())

    def remaining(self) -> float:
        """Return the seconds left of this attempt."""
        return self.deadline_at - self.call.clock.monotonic()

    def context(self) -> CallContext:
        """Return what guarded calls inside this attempt inherit."""
        outer = self.call.context
        if outer.depth >= _MAX_DEPTH:
            raise ConfigError(
                f"guarded calls are nested {outer.depth} deep at "
                f"`{self.call.guard.name}`: a tier probably calls the function that "
                "it is a fallback of. Call another function there."
            )
        deadline_at = None if self.step.inline else self.deadline_at
        return CallContext(deadline_at, outer.labels, outer.depth + 1, outer.key)

    def pause(self, seconds: float) -> None:
        """Leave out the time that the consumer of a stream took between chunks."""
        self.paused += seconds
        self.deadline_at += seconds

    def answer(self) -> object:
        """Run a sync tier and judge what it gave, all within the attempt's time."""
        return self.invoke(judged=True)

    def invoke(self, *, judged: bool = False) -> object:
        """Run the tier here and now (sync tiers, and the start of async ones)."""
        call, step = self.call, self.step
        token = CALL_CONTEXT.set(self.context())
        mark = None if self.span is None else self.span.enter()
        try:
            if step.tier is not None:
                value = step.run_tier(call.tier_context(self))
            elif call.runtime.chaos is None:
                value = call.run_body(self)
            else:
                value = call.runtime.chaos.sync(self, self._body)
            if judged:
                self.checking = True
                self.judged = judge(self, Result(value))
            return value
        finally:
            if self.span is not None:
                self.span.leave(mark)
            CALL_CONTEXT.reset(token)

    def _body(self) -> Any:
        return self.call.run_body(self)

    async def ainvoke(self) -> object:
        """Run an async tier."""
        token = CALL_CONTEXT.set(self.context())
        mark = None if self.span is None else self.span.enter()
        try:
            if self.step.tier is None:
                chaos = self.call.runtime.chaos
                if chaos is not None:
                    return await chaos.awaited(self, self._body)
                return await self.call.run_body(self)
            return await self.step.arun_tier(self.call.tier_context(self))
        finally:
            if self.span is not None:
                self.span.leave(mark)
            CALL_CONTEXT.reset(token)


class Pull:
    """Get the next chunk of a stream that `Run` opened."""

    __slots__ = ("run", "source")

    def __init__(self, run: Run, source: object) -> None:
        self.run = run
        self.source = source
        if run.scope is None:
            # One context for all chunks: what the body sets, it can reset.
            run.scope = copy_context()
            run.scope.run(CALL_CONTEXT.set, run.context())
            if run.span is not None:
                run.scope.run(run.span.enter)

    @property
    def timeout(self) -> float:
        """Seconds left of the attempt that opened the stream."""
        return self.run.remaining()
