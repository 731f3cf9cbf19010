"""One call of one version, with the patience that a provider needs, as a sample."""

from __future__ import annotations

import random
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..guard._retry import backoff
from ..guard._trial import Trial, arun_trial
from ..outcome import POLICY, Kind
from ._lines import plain_value
from ._pace import LONGEST
from ._types import Case, Sample

if TYPE_CHECKING:
    from ..guard import Runtime
    from ._arms import Version
    from ._pace import Pace
    from ._prices import Prices

__all__ = ["Caller"]

_THROTTLED: Final = 10
"""Times that a call is sent again after a 429 before it counts as failed."""


@dataclass(slots=True, kw_only=True)
class Caller:
    """Asks versions; transport failures are tried again, answers never are.

    Attributes:
        runtime: Where time and threads come from.
        pace: How many calls may be under way.
        prices: What they cost.
        rng: Where the jitter of waits comes from; never the order of calls.
        attempts: Tries of a call that fails in transport, the first one included.
        executor: Threads of sync generators.
    """

    runtime: Runtime
    pace: Pace
    prices: Prices
    rng: random.Random
    attempts: int = 3
    executor: Executor | None = None

    async def ask(self, version: Version, case: Case, turn: int, order: int) -> Sample:
        """Call the version once on a case, or as often as transport needs."""
        failed = throttled = 0
        while True:
            async with self.pace:
                ticket = self.pace.ticket()
                trial = await self._try(version, case)
            if trial.kind is Kind.THROTTLED:
                self.pace.slow(ticket, trial.retry_after)
                throttled += 1
                asked = trial.retry_after or 0.0
                if throttled < _THROTTLED and asked <= LONGEST:
                    continue
            else:
                self.pace.good()
                failed += 1
                if POLICY[trial.kind].retry and failed < self.attempts:
                    await self._wait(failed)
                    continue
            return self._sample(
                trial, version, case, turn, order, attempts=failed + throttled
            )

    async def _try(self, version: Version, case: Case) -> Trial:
        return await arun_trial(
            version.guard,
            self.runtime,
            case.inputs,
            key=case.id if version.replays else "",
            executor=self.executor,
        )

    async def _wait(self, failed: int) -> None:
        await self.runtime.clock.asleep(
            backoff(failed, policy=self.runtime.retry, rng=self.rng)
        )

    def _sample(
        self,
        trial: Trial,
        version: Version,
        case: Case,
        turn: int,
        order: int,
        *,
        attempts: int,
    ) -> Sample:
        attempt, reply = trial.attempt, trial.reply
        ok = trial.kind is Kind.OK
        usage = None if attempt is None else attempt.usage
        return Sample(
            case=case.id,
            arm=version.arm,
            round=turn,
            order=order,
            kind=trial.kind,
            value=plain_value(trial.value) if ok else None,
            has_value=ok,
            text=_text(trial),
            refusal=reply.refusal,
            finish_reason=reply.finish_reason,
            violations=() if attempt is None else attempt.violations,
            detail="" if attempt is None else attempt.detail,
            tool_calls=tuple(
                {"name": one.name, "arguments": one.arguments}
                for one in reply.tool_calls
            ),
            latency=0.0 if attempt is None else attempt.elapsed,
            usage=usage,
            cost=self.prices.cost(version.pin, usage),
            confidence=None if attempt is None else attempt.confidence,
            served_model=None if attempt is None else attempt.served_model,
            fingerprint=None if attempt is None else attempt.fingerprint,
            prompt_digest="" if attempt is None else attempt.prompt_digest,
            attempts=attempts,
            at=trial.outcome.at,
        )


def _text(trial: Trial) -> str | None:
    text = trial.reply.text
    value: Any = trial.value
    return value if text is None and isinstance(value, str) else text
