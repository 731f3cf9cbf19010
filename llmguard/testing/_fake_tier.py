"""A tier of a fallback chain that does what a test told it to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..clock import Clock
from ..guard import TierContext, TierOptions
from ..reply import Reply
from ._script import Script, Turn, WrongModel, special_reply

if TYPE_CHECKING:
    from ..contract import Contract

__all__ = ["FakeTier", "fake_tier"]


@dataclass(frozen=True, kw_only=True)
class FakeTier:
    """A scripted tier; make one with `fake_tier`.

    Attributes:
        calls: Every call so far, in order.
    """

    script: Script
    name: str
    terminal: bool
    inline: bool
    options: TierOptions
    clock: Clock | None = None
    calls: list[TierContext] = field(default_factory=list[TierContext])

    def run(self, call: TierContext) -> object:
        """Answer the call as the script says.

        Raises:
            TimeoutError: The entry takes longer than the call can wait.
            ConnectionResetError: The entry is one that cuts the connection.
        """
        turn, wait, late = self._begin(call)
        if wait:
            self.script.wait(wait, self.clock)
        return self._answer(turn, late=late)

    async def arun(self, call: TierContext) -> object:
        """Answer the call as the script says, without blocking the event loop.

        Raises:
            TimeoutError: The entry takes longer than the call can wait.
            ConnectionResetError: The entry is one that cuts the connection.
        """
        turn, wait, late = self._begin(call)
        if wait and self.clock is None:
            await asyncio.sleep(wait)
        elif wait and self.clock is not None:
            await self.clock.asleep(wait)
        return self._answer(turn, late=late)

    def check(self, contract: Contract | None) -> None:
        """Accept any contract: it judges the answers."""

    def _begin(self, call: TierContext) -> tuple[Turn, float, bool]:
        self.calls.append(call)
        turn = self.script.next(call)
        return turn, *turn.waits(call.remaining())

    def _answer(self, turn: Turn, *, late: bool) -> object:
        if late:
            raise TimeoutError(f"fake tier {self.name!r} did not answer in time")
        special = special_reply(turn.answer, model=None)
        if special is not None:
            return special
        if isinstance(turn.answer, WrongModel):
            answer = turn.answer
            return Reply(value=answer.answer, has_value=True, served_model=answer.model)
        return Reply(value=turn.answer, has_value=True)


def fake_tier(
    answers: object,
    *,
    name: str = "fake",
    terminal: bool = False,
    inline: bool = False,
    clock: Clock | None = None,
    **options: Any,
) -> FakeTier:
    """Return a tier for `@fallback_chain` that answers by script.

    Args:
        answers: Values, call by call; the last one repeats. An entry is the answer
            itself (data, not JSON text), or anything that stands for a fault in
            `FakeModel`; functions are called with the `TierContext`.
        name: Name of the tier.
        terminal: Pretend that it cannot fail, so that it may be the last tier.
        inline: Run it without a thread and a time limit of its own.
        clock: Where `Hang` and `Slow` wait; by default in real time.
        **options: Fields of `TierOptions`, such as `timeout` or `min_confidence`.
    """
    return FakeTier(
        script=Script(answers),
        name=name,
        terminal=terminal,
        inline=inline,
        options=TierOptions(**options),
        clock=clock,
    )
