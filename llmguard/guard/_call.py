"""One guarded call: its arguments, its deadline, and what has been tried so far."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .._quick import quick
from ..adapters import Model, provider_for
from ..errors import ConfigError
from ..outcome import Attempt, Kind, Outcome
from ..pins.routing import RoutingTable, unit_hash
from ._deadline import CALL_CONTEXT, slice_for
from ._keeper import KEEPER
from ._ready import make_ready
from .tiers import Proposal, TierContext

if TYPE_CHECKING:
    from ..pins import Pin
    from ..pins._ways import RoutePlan, Way
    from ..reply import Reply
    from ..telemetry.tracing import CallTrace
    from ._commands import Run
    from ._guard import Guard
    from ._judge import Judged
    from ._plan import Step
    from ._runtime import Runtime

__all__ = ["Call"]

_outcome: Final = quick(Outcome)
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
# Not the module's own generator, which a program may seed; unlike `os.urandom`, no
# system call. A forked child must not repeat its parent's ids.
_ids: Final = random.Random()  # noqa: S311 - ids are no secrets
if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows only
    os.register_at_fork(after_in_child=_ids.seed)


class Call:
    """The state of one call; one thread or task walks it at a time."""

    __slots__ = (
        "args",
        "at",
        "attempts",
        "blocked",
        "call_id",
        "clock",
        "context",
        "deadline_at",
        "guard",
        "inputs",
        "kwargs",
        "pins",
        "proposals",
        "revision",
        "runtime",
        "spare",
        "started",
        "steps",
        "trace",
        "unit",
        "watch",
        "way",
    )

    def __init__(
        self,
        guard: Guard,
        runtime: Runtime,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        if "ready" not in guard.__dict__:
            make_ready(guard, runtime)
        self.guard = guard
        self.runtime = runtime
        self.clock = runtime.clock
        self.args = args
        self.kwargs = kwargs
        self.inputs: Mapping[str, object] = guard.binder.bind(args, kwargs)
        self.context = CALL_CONTEXT.get()
        self.started = self.clock.monotonic()
        self.at = self.clock.time()
        # Sorts by time: 48 bits of milliseconds, then 64 random ones.
        self.call_id = f"{time_ns() // 1_000_000:012x}{_ids.getrandbits(64):016x}"
        self.attempts: list[Attempt] = []
        self.proposals: tuple[Proposal, ...] = ()
        self.steps = guard.steps
        if runtime.managed and guard.managed:
            KEEPER.wake()
        self.way: Way | None = None
        self.unit = ""
        self.spare: dict[int, Pin] | None = None
        self.blocked: dict[int, str] | None = None
        self.pins: tuple[Pin | None, ...] = guard.fixed_pins
        self.revision = 0
        if not self.pins:
            self._route(runtime.routing.table)
        self.deadline_at = self.started + guard.seconds
        outer = self.context.deadline_at
        if outer is not None and outer < self.deadline_at:
            self.deadline_at = outer
        self.trace: CallTrace | None = None
        self.watch = None if runtime.watch is None else runtime.watch(self)

    def _route(self, table: RoutingTable) -> None:
        """Pick the pin of every step: one table, hence one revision, throughout."""
        self.revision = table.rev
        pins: list[Pin | None] = []
        for step in self.steps:
            source = step.pins
            if source is None or source.route is None:
                pins.append(None if source is None else source.current)
                continue
            plan = source.plan(self.started, table)
            way = plan.active if plan.plain else self._pick(step, plan)
            if way.refused:
                self.blocked = self.blocked or {}
                self.blocked[step.index] = way.refused
            pins.append(way.pin)
        self.pins = tuple(pins)

    def _pick(self, step: Step, plan: RoutePlan) -> Way:
        """Choose among the versions of one step."""
        labels = dict(self.context.labels) if self.context.labels else _NO_LABELS
        unit = plan.unit(self.context.key, labels)
        way = plan.pick(unit or self.call_id, labels)
        if way.rest is not None:
            self.spare = self.spare or {}
            self.spare[step.index] = way.rest
        if not step.index:
            self.way, self.unit = way, unit
        return way

    def divert(self, step: Step) -> bool:
        """Give a step the active pin, since the breaker of the one chosen is open."""
        rest = None if self.spare is None else self.spare.pop(step.index, None)
        if rest is None:
            return False
        pins = list(self.pins)
        pins[step.index] = rest
        self.pins = tuple(pins)
        return True

    def slice_end(self, step: Step, now: float) -> float:
        """Return the monotonic time by which all tries of `step` must have ended."""
        if not step.reserved:
            return self.deadline_at
        return now + slice_for(self.deadline_at - now, step.reserved)

    def tier_context(self, run: Run) -> TierContext:
        """Return what a tier may know about this call."""
        return TierContext(
            call_id=self.call_id,
            function=self.guard.name,
            inputs=self.inputs,
            contract=self.guard.contract,
            remaining=run.remaining,
            attempts=tuple(self.attempts),
            labels=dict(self.context.labels),
            proposals=self.proposals,
        )

    def propose(self, judged: Judged, reply: Reply) -> None:
        """Keep what the last attempt said, for whoever answers further down."""
        refined = judged.value is not None  # of a good answer that was not sure enough
        if not (refined or reply.has_value or reply.text):
            return
        attempt = self.attempts[-1]
        proposal = Proposal(
            attempt=len(self.attempts) - 1,
            tier=attempt.tier,
            pin=attempt.pin,
            kind=judged.kind,
            confidence=judged.confidence,
            has_value=refined or reply.has_value,
            value=judged.value if refined else reply.value,
            text=reply.text or "",
        )
        self.proposals = (*self.proposals, proposal)

    def run_body(self, run: Run) -> Any:
        """Call the user's function with this step's model."""
        pin = self.pins[run.step.index]
        if pin is None:
            return self.guard.function(*self.args, **self.kwargs)
        guard = self.guard
        run.model = Model(
            pin,
            provider_for(pin),
            schema=guard.schema,
            schema_name=guard.schema_name,
            remaining=run.remaining,
            feedback=run.feedback,
            inputs=self.inputs,
            call_id=self.call_id,
        )
        args, kwargs = guard.binder.with_model(self.args, self.kwargs, run.model)
        result = guard.function(*args, **kwargs)
        if guard.kind == "sync" and hasattr(result, "__await__"):
            close = getattr(result, "close", None)
            if close is not None:
                close()
            raise ConfigError(
                f"`{guard.name}` returned an awaitable but is no `async def`: "
                "declare it `async def` so that llmguard can await and time it."
            )
        return result

    @property
    def fingerprint(self) -> str:
        """Identify the input, so that a retried one is not new evidence.

        Strings go in as they are: a long prompt should not be printed on every call.
        An input that cannot be printed counts as new each time.
        """
        try:
            parts = [
                f"{name}\0{value if isinstance(value, str) else repr(value)}"
                for name, value in self.inputs.items()
            ]
        except Exception:  # noqa: BLE001 - a foreign `__repr__` may raise anything
            return self.call_id
        return "\0".join(parts)

    def budget_key(self, step: Step) -> tuple[str, str]:
        """Return the key of the retry budget of one step."""
        pin = self.pins[step.index]
        return self.guard.name, step.name if pin is None else pin.id

    def outcome(self, kind: Kind, tier: str = "", tier_index: int = -1) -> Outcome:
        """Return the story so far, ended with `kind`."""
        guard, way = self.guard, self.way
        return _outcome(
            call_id=self.call_id,
            function=guard.name,
            kind=kind,
            tier=tier,
            tier_index=tier_index,
            attempts=tuple(self.attempts),
            elapsed=self.clock.monotonic() - self.started,
            deadline=self.deadline_at - self.started,
            contract_digest=guard.contract_digest,
            at=self.at,
            revision=self.revision,
            experiment="" if way is None else way.experiment,
            arm="" if way is None else way.arm,
            unit=unit_hash(self.unit) if self.unit else "",
            request_id=_request_of(self.context.labels),
        )


def _request_of(labels: tuple[tuple[str, str], ...]) -> str:
    for name, value in labels:
        if name == "request_id":
            return value
    return ""
