"""Runs recorded inputs through each tier by itself, and says what each is worth."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._dataclass import dataclass
from ..breaker import upper_rate
from ..errors import ConfigError, ContractError
from ..outcome import Attempt, Kind
from ._fitness import NO_EVIDENCE
from ._lone import how_proven, run_lone
from ._runtime import Runtime, use_runtime

if TYPE_CHECKING:
    from ..contract import Contract
    from ..outcome import Outcome
    from ._guard import Guard
    from ._plan import Step

__all__ = ["Share", "TierDrill", "drill", "drilled_steps", "plain", "spread"]

T = TypeVar("T")
Progress = Callable[[str, int, int], None]

_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with the 95 % interval of Clopper and Pearson."""

    good: int
    n: int

    @property
    def rate(self) -> float | None:
        """The share in [0, 1]; None of none."""
        return self.good / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The exact two-sided interval (Biometrika 26, 1934); of none, all of it."""
        one_sided = (1 + _CONFIDENCE) / 2
        low = 1 - upper_rate(self.n - self.good, self.n, confidence=one_sided)
        return low, upper_rate(self.good, self.n, confidence=one_sided)

    def document(self) -> dict[str, object]:
        """Return it as JSON-able data."""
        low, high = self.interval
        return {
            "good": self.good,
            "n": self.n,
            "rate": self.rate,
            "low": low,
            "high": high,
        }


@dataclass(slots=True, kw_only=True)
class TierDrill:
    """What one tier did with the inputs.

    Attributes:
        tier: Its name.
        pin: Pin id; empty for tiers that are not models.
        model: Exact model id; empty likewise.
        reference: True for the first tier, which the others are compared with.
        reserve: Seconds that tiers above always leave it.
        outcomes: How each input ended, in their order.
        answers: The answers as JSON-able data, by index of the input.
        agrees: Whole answers equal to the reference's, where both answered.
        fields: The same for each field, where answers are objects.
    """

    tier: str
    pin: str = ""
    model: str = ""
    reference: bool = False
    reserve: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list["Outcome"])
    answers: dict[int, object] = field(default_factory=dict[int, object])
    agrees: Share | None = None
    fields: dict[str, Share] = field(default_factory=dict[str, Share])

    @property
    def tried(self) -> list[Outcome]:
        """The outcomes that say something; skipped inputs do not."""
        return [each for each in self.outcomes if each.kind not in NO_EVIDENCE]

    @property
    def valid(self) -> Share:
        """Inputs that it answered to the contract's satisfaction."""
        return Share(len(self.answers), len(self.tried))

    @property
    def kinds(self) -> dict[str, int]:
        """How the other inputs ended."""
        kinds = Counter(str(each.kind) for each in self.outcomes)
        return {k: n for k, n in sorted(kinds.items()) if k != Kind.OK}

    @property
    def details(self) -> dict[str, str]:
        """One example per kind of how it failed, in words."""
        found: dict[str, str] = {}
        for each in self.outcomes:
            if each.kind is not Kind.OK and each.last is not None:
                found.setdefault(str(each.kind), each.last.detail)
        return found

    def latency(self, share: float) -> float | None:
        """Return seconds that `share` of the tries took at most; None without any."""
        times = sorted(each.elapsed for each in self.tried)
        return times[math.ceil(share * len(times)) - 1] if times else None

    def attempts(self) -> Iterable[tuple[Attempt, float]]:
        """Yield every attempt that says something, and when its call began."""
        for outcome in self.outcomes:
            for attempt in outcome.attempts:
                if attempt.kind not in NO_EVIDENCE:
                    yield attempt, outcome.at

    def document(self) -> dict[str, object]:
        """Return it as JSON-able data, without inputs and answers."""
        return {
            "tier": self.tier,
            "pin": self.pin,
            "model": self.model,
            "reference": self.reference,
            "reserve": self.reserve,
            "valid": self.valid.document(),
            "agrees": None if self.agrees is None else self.agrees.document(),
            "fields": {name: each.document() for name, each in self.fields.items()},
            "kinds": self.kinds,
            "details": self.details,
            "first": self.tried[0].elapsed if self.tried else None,
            "p50": self.latency(0.5),
            "p95": self.latency(0.95),
        }


def spread(items: Sequence[T], n: int) -> list[T]:
    """Take `n` items evenly over a sequence, which may be sorted by something."""
    count = min(n, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def drilled_steps(
    guard: Guard, *, only: Sequence[str] = (), reference: bool = True
) -> list[Step]:
    """Choose the tiers to drill: people and constants are left out.

    Raises:
        ConfigError: A name is no tier of the function, or one that is not drilled.
    """
    able = [step for step in guard.steps if how_proven(step)]
    names = [step.name for step in able]
    for name in only:
        if name not in names:
            why = "is answered by a person or a constant"
            if name not in {step.name for step in guard.steps}:
                why = f"is no tier of `{guard.name}`"
            raise ConfigError(f"`{name}` {why}: tiers that can be drilled are {names}")
    chosen = [step for step in able if not only or step.name in only]
    first = [step for step in able if step.index == 0 and reference]
    return first + [step for step in chosen if step.index > 0]


def drill(
    guard: Guard,
    inputs: Sequence[Mapping[str, Any]],
    steps: Sequence[Step],
    *,
    progress: Progress | None = None,
) -> list[TierDrill]:
    """Run every input through every tier by itself.

    Breakers, retry budgets and counters of the process are left alone; conditions,
    deadlines, retries and the contract are the production ones.

    Args:
        guard: The guarded function.
        inputs: Arguments by name, one mapping per call.
        steps: The tiers; the first one of the chain is the reference.
        progress: Told the tier, how many inputs are done, and of how many.

    Returns:
        One result per tier, in the order given.
    """
    runtime = Runtime(rng=random.Random(0))  # noqa: S311 - jitter, not a secret
    found: list[TierDrill] = []
    with use_runtime(runtime), asyncio.Runner() as loop:
        for step in steps:
            one = _described(step)
            found.append(one)
            for index, given in enumerate(inputs):
                outcome, value = run_lone(
                    guard, step, runtime, ((), given), loop=loop, live=False
                )
                one.outcomes.append(outcome)
                if outcome.kind is Kind.OK:
                    one.answers[index] = plain(guard.contract, value)
                if progress is not None:
                    progress(step.name, index + 1, len(inputs))
    _compare(found)
    return found


def _described(step: Step) -> TierDrill:
    pin = None if step.pins is None else step.pins.current
    return TierDrill(
        tier=step.name,
        pin="" if pin is None else pin.id,
        model="" if pin is None else pin.model,
        reference=step.index == 0,
        reserve=step.options.reserve,
    )


def plain(contract: Contract | None, value: object) -> object:
    """Return an answer as JSON-able data where its contract can write it."""
    if contract is None:
        return value
    try:
        return contract.dump(value)
    except ContractError:
        return value


def _compare(found: Sequence[TierDrill]) -> None:
    reference = next((each for each in found if each.reference), None)
    if reference is None:
        return
    for one in found:
        if one.reference:
            continue
        pairs = [
            (reference.answers[i], answer)
            for i, answer in one.answers.items()
            if i in reference.answers
        ]
        one.agrees = Share(sum(a == b for a, b in pairs), len(pairs))
        one.fields = _by_field(pairs)


def _by_field(pairs: Sequence[tuple[Any, Any]]) -> dict[str, Share]:
    """Compare field by field; none where an answer is no object."""
    if not all(isinstance(each, Mapping) for pair in pairs for each in pair):
        return {}
    names = sorted({str(name) for pair in pairs for each in pair for name in each})
    missing = object()
    return {
        name: Share(
            sum(a.get(name, missing) == b.get(name, missing) for a, b in pairs),
            len(pairs),
        )
        for name in names
    }
