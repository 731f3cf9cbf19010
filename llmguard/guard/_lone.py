"""One tier of a chain, run by itself: for exercises and drills.

It is the engine's own way through a tier (condition, bulkhead, breaker, contract), so
that what is measured is what a call would have met. Nobody is told of the outcome: no
hook, no `capture()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Literal

from ..errors import CallError, Deferred
from ..outcome import Kind, Outcome
from ._builtin_tiers import StaticTier
from ._call import Call
from ._commands import NO_BREAKER
from ._drive_sync import drive, drive_stream
from ._engine import Walk
from ._stream import StreamWalk

if TYPE_CHECKING:
    from asyncio import Runner
    from collections.abc import AsyncGenerator

    from ..adapters import Message
    from ._commands import Admission, Run
    from ._engine import Flow
    from ._guard import Guard
    from ._judge import Judged
    from ._plan import Step
    from ._runtime import Runtime

__all__ = ["Lone", "drill_target", "how_proven", "run_lone", "run_walk"]


def how_proven(step: Step) -> Literal["exercise", "drill", ""]:
    """Say what can prove a tier before it is needed.

    Models and functions are exercised by live traffic and can be drilled. Tiers that
    cannot fail, or answer in microseconds, are worth a drill but no exercise. People
    and constants need neither: empty.
    """
    tier = step.tier
    if tier is None:
        return "exercise"
    if getattr(tier, "durable", False) or isinstance(tier, StaticTier):
        return ""
    return "drill" if tier.terminal or tier.inline else "exercise"


def drill_target(guard: Guard) -> str:
    """Return what `llmguard drill` calls a function; empty where it cannot reach it.

    Methods need an object, functions in functions cannot be imported, and a script's
    own have another name when it is imported.
    """
    module, name = guard.function.__module__, guard.function.__qualname__
    return "" if module == "__main__" or "." in name else f"{module}:{name}"


class Lone(Walk):
    """A walk that tries one tier and keeps the outcome to itself.

    Attributes:
        step: The tier to try.
        live: Ask the breaker and tell it, and try once only; otherwise neither, and
            with the tier's own retries.
        outcome: How it ended; `skipped` before it did.
        value: The answer; None unless the outcome is `ok`.
    """

    __slots__ = ("live", "outcome", "step", "value")

    told = False

    def __init__(self, call: Call, step: Step, *, live: bool) -> None:
        super().__init__(call)
        self.step = step
        self.live = live
        self.outcome = call.outcome(Kind.SKIPPED)
        self.value: object = None

    def walk(self) -> Flow:
        """Try the one tier.

        Raises:
            CallError: Why it did not answer.
        """
        tries = self.tries(self.step)
        judged = None if tries is None else (yield from tries)
        if judged is None:
            self.finish(self.call.attempts[-1].kind)
            raise self.errors[-1]
        self.value = judged.value
        self.finish(Kind.OK, self.step)
        return None

    def admit(self, step: Step, timeout: float, number: int) -> Admission | None:
        """Ask the breaker only for live exercises."""
        return super().admit(step, timeout, number) if self.live else NO_BREAKER

    def deposit(self, step: Step) -> None:
        """Leave the retry budget of live calls alone."""
        if not self.live:
            super().deposit(step)

    def again(
        self,
        run: Run,
        judged: Judged,
        number: int,
        until: float,
    ) -> tuple[float, tuple[Message, ...]] | None:
        """Retry in drills only: an exercise must not add to an overload."""
        if self.live:
            return None
        return super().again(run, judged, number, until)

    def finish(self, kind: Kind, step: Step | None = None) -> Outcome:
        """Keep the outcome; nobody else hears of it."""
        self.published = True
        if step is None:
            self.outcome = self.call.outcome(kind)
        else:
            self.outcome = self.call.outcome(kind, step.name, step.index)
        return self.outcome


class _LoneStream(Lone, StreamWalk):
    """The same for streaming functions; the chunks go nowhere."""

    __slots__ = ()


def run_lone(
    guard: Guard,
    step: Step,
    runtime: Runtime,
    given: tuple[tuple[Any, ...], Mapping[str, Any]],
    *,
    loop: Runner,
    live: bool,
) -> tuple[Outcome, object]:
    """Run one tier on the arguments of one call.

    Args:
        guard: The guarded function.
        step: One of its tiers.
        runtime: Where breakers and time come from.
        given: Positional and keyword arguments.
        loop: Runs async functions.
        live: Whether the breaker is asked and told.

    Returns:
        The outcome, with every try in `attempts`, and the answer.
    """
    args, kwargs = given
    call = Call(guard, runtime, args, dict(kwargs))
    made = _LoneStream if guard.is_stream else Lone
    walk = made(call, step, live=live)
    with suppress(CallError, Deferred):  # told by the outcome
        run_walk(guard, walk, runtime, loop)
    return walk.outcome, walk.value


def run_walk(guard: Guard, walk: Lone, runtime: Runtime, loop: Runner) -> None:
    """Run a walk to its end in this thread; async functions on `loop`.

    Raises:
        CallError: The tier did not answer.
    """
    if guard.kind == "sync":
        drive(walk.run(), runtime)
    elif guard.kind == "gen":
        for _ in drive_stream(walk.run(), runtime):
            pass
    else:
        _drive_async(guard, walk, runtime, loop)


def _drive_async(guard: Guard, walk: Lone, runtime: Runtime, loop: Runner) -> None:
    from ._drive_async import adrive, adrive_stream

    if guard.kind == "async":
        loop.run(adrive(walk.run(), runtime), context=copy_context())
    else:
        stream = adrive_stream(walk.run(), runtime)
        # A runner has a context of its own; this call's is the one to use.
        loop.run(_pull_all(stream), context=copy_context())


async def _pull_all(stream: AsyncGenerator[object]) -> None:
    async for _ in stream:
        pass
