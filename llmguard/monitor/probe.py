"""The paired probe: a version and the one before it, asked the same things.

Nothing but this, or the contract's own detector, ever takes a version out of traffic:
a live stream that looks different may be the same version on other inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from .._dataclass import dataclass
from ..guard import Guard, Runtime, current_runtime
from ..guard._trial import Trial, run_trial, trial_guard
from ..outcome import Kind
from ._paired import (
    ALPHA_CHANGED,
    FailureTest,
    Said,
    decisions_of,
    failed,
    flip_test,
    moved,
)

if TYPE_CHECKING:
    from ..pins import Pin

__all__ = ["CANARIES", "PAIRS", "Asker", "Probe", "Verdict", "compare", "probe"]

CANARIES: Final = 50
"""Inputs that decide whether a version answers differently."""
PAIRS: Final = 100
"""Pairs that are asked at most before "no worse" is said."""

_LEAST: Final = 10
_CLEAR: Final = 0.2
_NAMED: Final = 5
"""P-value below which "the same" is not said yet: twice as many inputs are asked."""
Verdict = Literal["worse", "changed", "same", "undecided"]
"""How the version compares with the one before it, on the same inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What asking both versions showed.

    Attributes:
        verdict: `worse`: the newer one breaks the contract where the older one does
            not. `changed`: it answers differently than the reference does when asked
            twice. `same`: neither. `undecided`: too few calls worked, or too few
            inputs show the difference.
        pairs: Pairs that were compared for failures.
        worse: Pairs in which only the newer version failed.
        better: Pairs in which only the older one did.
        evidence: E-value of "worse"; 100 decides.
        p: P-value of "changed"; 0.001 decides; 1.0 where it was not tested.
        moves: Which decisions changed how, with how many inputs.
        calls: Calls that it took.
    """

    verdict: Verdict
    pairs: int
    worse: int
    better: int
    evidence: float
    p: float = 1.0
    moves: Mapping[str, int] = field(default_factory=dict[str, int])
    calls: int = 0

    def __str__(self) -> str:
        text = (
            f"{self.verdict}: on {self.pairs} same inputs it alone failed {self.worse} "
            f"times and the version before it alone {self.better} times "
            f"(e = {self.evidence:.3g})"
        )
        if self.moves:
            shown = ", ".join(f"{move} ({n})" for move, n in self.moves.items())
            text += f"; its decisions: {shown} (p = {self.p:.2g})"
        return text


class Asker:
    """Asks versions of one function, keeping only what is compared.

    Args:
        guard: The guarded function.
        runtime: Where time and threads come from.
    """

    def __init__(self, guard: Guard, runtime: Runtime | None = None) -> None:
        from .drift import NO_FIELDS, fields_of

        self._guard = guard
        # No caller waits for these: no listener hears of them, nothing is counted.
        self._runtime = replace(
            runtime or current_runtime(),
            managed=False,
            exercise=None,
            watch=None,
            apart=True,
        )
        contract = guard.contract
        schema = None if contract is None else contract.json_schema
        self._fields = NO_FIELDS if schema is None else fields_of(schema)
        self.calls = 0

    def __call__(self, pin: Pin, inputs: Mapping[str, object]) -> Said:
        """Ask one version once; no retry, no fallback, no breaker, no listener."""
        self.calls += 1
        trial = run_trial(trial_guard(self._guard, pin), self._runtime, inputs)
        return self._said(trial)

    def _said(self, trial: Trial) -> Said:
        from .drift import hash_text, value_text

        if trial.kind is not Kind.OK:
            attempt = trial.attempt
            violations = () if attempt is None else attempt.violations
            checks = dict.fromkeys(each.check for each in violations)
            return Said(kind=trial.kind, broken=tuple(checks))
        contract = self._guard.contract
        document: Any = trial.value
        if contract is not None and not contract.is_text:
            document = contract.dump(trial.value)
        text = trial.reply.text or value_text(document)
        return Said(
            kind=trial.kind,
            hashed=hash_text(text).tolist(),
            decisions=decisions_of(self._fields, document),
        )


def compare(
    asked: Asker,
    newer: Pin,
    older: Pin,
    inputs: Sequence[Mapping[str, object]],
    *,
    most: int = PAIRS,
) -> Probe:
    """Tell whether the newer version breaks the contract more; stops when sure.

    Args:
        asked: Asks the versions.
        newer: The version under suspicion.
        older: The one before it.
        inputs: Arguments by name, a fair sample of the traffic.
        most: Pairs that are asked at most.
    """
    test, broken = FailureTest(), Counter[str]()
    for each in inputs[:most]:
        said = asked(newer, each)
        one, two = failed(said.kind), failed(asked(older, each).kind)
        if one is None or two is None:
            continue
        test.add(newer=one, older=two)
        if one and not two:
            broken.update(f"fails {name}" for name in said.broken or (said.kind.value,))
        if test.decided:
            break
    return _probe(test, asked, moves=dict(broken.most_common(_NAMED)))


def probe(
    asked: Asker,
    newer: Pin,
    older: Pin,
    inputs: Sequence[Mapping[str, object]],
    *,
    reference: tuple[Sequence[Said], Sequence[Said]] | None = None,
    pause: Callable[[], None] | None = None,
) -> Probe:
    """Tell whether the newer version is worse, or at least different.

    Args:
        asked: Asks the versions.
        newer: The version under suspicion.
        older: The one before it.
        inputs: 50 to 100 inputs; the second half is asked only when the first one
            leaves doubt.
        reference: Two draws of what it is held against, on these very inputs; by
            default the older version is asked twice.
        pause: Called between inputs, to be gentle with what is asked.
    """
    test = FailureTest()
    draws = _Draws()
    looks = (CANARIES, PAIRS) if reference is None else (len(inputs),)
    p, done = 1.0, 0
    for look in looks:
        for i, each in enumerate(inputs[done:look], start=done):
            one, two = asked(newer, each), asked(older, each)
            if reference is None:
                draws.add(one, two, asked(older, each))
            else:
                draws.add(one, reference[0][i], reference[1][i])
            states = failed(one.kind), failed(two.kind)
            if states[0] is not None and states[1] is not None:
                test.add(newer=states[0], older=states[1])
            if pause is not None:
                pause()
        done = min(look, len(inputs))
        # Both looks together keep the promise.
        p = min(draws.p() * len(looks), 1.0)
        if test.decided or p <= ALPHA_CHANGED or p >= _CLEAR or done == len(inputs):
            break
    return _probe(test, asked, p=p, moves=draws.moves())


class _Draws:
    """Answers to the same inputs: two of the reference, one of the version."""

    __slots__ = ("_first", "_now", "_second")

    def __init__(self) -> None:
        self._now: list[Said] = []
        self._first: list[Said] = []
        self._second: list[Said] = []

    def add(self, now: Said, first: Said, second: Said) -> None:
        """Take one input's answers, unless one of the calls said nothing."""
        if None not in {failed(one.kind) for one in (now, first, second)}:
            self._now.append(now)
            self._first.append(first)
            self._second.append(second)

    def p(self) -> float:
        """Return the p-value of "changed"; 1.0 for too few inputs."""
        if len(self._now) < _LEAST:
            return 1.0
        return flip_test(self._first, self._second, self._now)

    def moves(self) -> Mapping[str, int]:
        """Return which decisions changed how."""
        return moved(self._first, self._now)


def _probe(
    test: FailureTest,
    asked: Asker,
    *,
    p: float = 1.0,
    moves: Mapping[str, int] | None = None,
) -> Probe:
    verdict: Verdict = "same"
    if test.decided:
        verdict = "worse"
    elif p <= ALPHA_CHANGED:
        verdict = "changed"
    elif test.pairs < _LEAST or p < _CLEAR:
        verdict = "undecided"
    return Probe(
        verdict=verdict,
        pairs=test.pairs,
        worse=test.worse,
        better=test.better,
        evidence=test.evidence,
        p=p,
        moves=moves or {},
        calls=asked.calls,
    )
