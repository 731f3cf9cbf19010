"""One guarded function's own model call, with another pin: for suites and shadows.

It is the engine's own way through the first tier, so what is measured is what a call
would have met: the same body, served-version check and contract. What would hide how
the version behaves is left out: fallbacks, the breaker, retries, and the re-ask that
quotes violations. Nobody is told of the outcome: no hook, no `capture()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import CallError, ConfigError, Deferred
from ..outcome import Attempt, Kind, Outcome
from ..reply import Reply
from ._call import Call
from ._drive_sync import drive, drive_stream
from ._lone import Lone, run_walk
from ._stream import StreamWalk

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..pins import Pin
    from ._commands import Run
    from ._guard import Guard
    from ._judge import Judged
    from ._runtime import Runtime

__all__ = ["Trial", "arun_trial", "repeat_trial", "run_trial", "trial_guard"]

_NOTHING = Reply()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one call of one version went.

    Attributes:
        outcome: The whole story; its one attempt has latency, usage and served model.
        value: The answer that the contract accepted; None unless the kind is `ok`.
        reply: What the model said, as far as it is known, whether or not the body
            handed it on.
        retry_after: Seconds the provider asks to wait; None when it does not.
    """

    outcome: Outcome
    value: object
    reply: Reply
    retry_after: float | None = None

    @property
    def kind(self) -> Kind:
        """How it ended."""
        return self.outcome.kind

    @property
    def attempt(self) -> Attempt | None:
        """The one try; None when the call was cancelled before it."""
        return self.outcome.last


def trial_guard(guard: Guard, pin: Pin) -> Guard:
    """Return the guard of the same function with one tier: its body on `pin`.

    Raises:
        ConfigError: The function picks its model itself, so no other can be given.
    """
    if guard.pin is None:
        raise ConfigError(
            f"`{guard.name}` is not `@pinned`, so no other version can be put in its "
            "place: decorate it with `@pinned(ROUTE)` and take the model as the "
            "parameter `model`"
        )
    primary = replace(
        guard.primary, attempts=1, concurrency=None, when=None, reserve=0.0
    )
    return replace(guard, pin=pin, tiers=(), primary=primary, exercise=0.0, slices=())


class _TrialWalk(Lone):
    """A walk of one try that keeps what the model said."""

    __slots__ = ("judged", "seen")

    def __init__(self, call: Call) -> None:
        super().__init__(call, call.steps[0], live=False)
        self.judged: Judged | None = None
        self.seen: Reply | None = None

    def record(self, run: Run, judged: Judged, *rest: Any) -> None:
        """Keep the judgement and the model's own reply."""
        self.judged = judged
        self.seen = None if run.model is None else run.model.last
        super().record(run, judged, *rest)

    def result(self) -> Trial:
        """Return how it went."""
        judged = self.judged
        return Trial(
            outcome=self.outcome,
            value=self.value,
            reply=_said(None if judged is None else judged.reply, self.seen),
            retry_after=None if judged is None else judged.retry_after,
        )


class _TrialStream(_TrialWalk, StreamWalk):
    """The same for streaming functions; the chunks go nowhere."""

    __slots__ = ()


def _said(reply: Reply | None, seen: Reply | None) -> Reply:
    """Merge what the body handed on with what the model handle saw."""
    if reply is None or seen is None or reply is seen:
        return reply or seen or _NOTHING
    return replace(
        reply,
        text=seen.text if reply.text is None else reply.text,
        tool_calls=reply.tool_calls or seen.tool_calls,
        raw=seen.raw if reply.raw is None else reply.raw,
    )


def _walk(
    guard: Guard, runtime: Runtime, inputs: Mapping[str, object], key: str
) -> _TrialWalk:
    args, kwargs = guard.binder.spread(inputs)
    call = Call(guard, runtime, tuple(args), kwargs)
    if key and "prompt_id" not in call.inputs:
        call.inputs = {**call.inputs, "prompt_id": key}
    return _TrialStream(call) if guard.is_stream else _TrialWalk(call)


def run_trial(
    guard: Guard, runtime: Runtime, inputs: Mapping[str, Any], *, key: str = ""
) -> Trial:
    """Call the body once, in a program without an event loop.

    Args:
        guard: From `trial_guard`.
        runtime: Where time and threads come from.
        inputs: The function's arguments by name.
        key: What the `replay` provider finds the answer by, where the function takes
            no `prompt_id` itself.
    """
    if guard.kind in {"async", "agen"}:
        return asyncio.run(arun_trial(guard, runtime, inputs, key=key))
    return _run_here(_walk(guard, runtime, inputs, key), runtime)


def repeat_trial(
    guard: Guard,
    runtime: Runtime,
    given: tuple[tuple[Any, ...], Mapping[str, Any]],
    *,
    loop: asyncio.Runner,
    inputs: Mapping[str, object] | None = None,
) -> Trial:
    """Call the body once on a live call's own arguments, its receiver included.

    Args:
        guard: From `trial_guard`.
        runtime: Where time and threads come from.
        given: Positional and keyword arguments.
        loop: Runs async functions.
        inputs: What checks and providers take for the arguments; by default they are.
    """
    args, kwargs = given
    call = Call(guard, runtime, args, dict(kwargs))
    if inputs is not None:
        call.inputs = inputs
    walk = _TrialStream(call) if guard.is_stream else _TrialWalk(call)
    with suppress(CallError, Deferred):  # told by the outcome
        run_walk(guard, walk, runtime, loop)
    return walk.result()


def _run_here(walk: _TrialWalk, runtime: Runtime) -> Trial:
    with suppress(CallError, Deferred):  # told by the outcome
        if isinstance(walk, StreamWalk):
            for _ in drive_stream(walk.run(), runtime):
                pass
        else:
            drive(walk.run(), runtime)
    return walk.result()


async def arun_trial(
    guard: Guard,
    runtime: Runtime,
    inputs: Mapping[str, Any],
    *,
    key: str = "",
    executor: Executor | None = None,
) -> Trial:
    """Call the body once without blocking the event loop; sync bodies get a thread.

    Args:
        guard: From `trial_guard`.
        runtime: Where time and threads come from.
        inputs: The function's arguments by name.
        key: As in `run_trial`.
        executor: Where sync generators are read; None for the loop's own, which is
            small.
    """
    from ._drive_async import adrive, adrive_stream

    walk = _walk(guard, runtime, inputs, key)
    if guard.kind == "gen":
        loop, context = asyncio.get_running_loop(), copy_context()
        return await loop.run_in_executor(
            executor, lambda: context.run(_run_here, walk, runtime)
        )
    with suppress(CallError, Deferred):  # told by the outcome
        if guard.kind == "agen":
            async for _ in adrive_stream(walk.run(), runtime):
                pass
        else:
            await adrive(walk.run(), runtime)
    return walk.result()
