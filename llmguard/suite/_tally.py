"""What has been seen so far, judged and fed to the decision in dispatch order.

A run and a re-grading of its journal both go through here, so they cannot disagree:
pairs come in the order they were dispatched in, whatever order they arrived in.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..outcome import Kind
from ._lines import Entry
from ._repeats import Repeats
from ._types import INFRASTRUCTURE, Case, Finding, Sample, Verdict
from .stats import Decider, Rule

if TYPE_CHECKING:
    from ._assertion import Assertion, Judge
    from ._suite import Suite

__all__ = ["Pair", "Ruling", "Tally", "rules_of"]

_REFERENCE: Final = 100
"""Samples of the incumbent that a limit relative to it is made from, at least, unless
three rounds have fewer."""
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """One case's turn: the candidate's call, and the incumbent's where it was asked."""

    case: str
    round: int
    candidate: Entry
    incumbent: Entry | None = None

    def entries(self) -> tuple[Entry, ...]:
        """Return the calls it consists of."""
        if self.incumbent is None:
            return (self.candidate,)
        return (self.candidate, self.incumbent)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one assertion said of one pair; None where it had nothing to say."""

    pair: Pair
    candidate: Finding | None
    incumbent: Finding | None


@dataclass(slots=True)
class _State:
    """One assertion while the run goes on."""

    assertion: Assertion
    judge: Judge | None
    rulings: list[Ruling] = field(default_factory=list[Ruling])


class Tally:
    """Judges pairs and feeds the decision.

    Args:
        suite: What must hold.
        paired: Whether the incumbent is asked beside the candidate.
        reference: Samples of the incumbent that are known before the run.

    Attributes:
        decider: Decides on the candidate.
        broken: Why the run cannot be judged; empty while it can.
        pairs: Everything taken so far, in dispatch order.
        round: Rounds that have ended.
        kinds: Calls that ended in each kind, per arm; recorded ones left out.
        repeats: Cases whose answers do not vary.
        own: Names of gating assertions that the incumbent is held to itself.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        paired: bool = False,
        reference: Sequence[Sample] = (),
    ) -> None:
        self.suite = suite
        self.paired = paired
        self.cases = {case.id: case for case in suite.cases}
        self.broken = ""
        self.pairs: list[Pair] = []
        self.round = 0
        self.kinds: dict[str, Counter[Kind]] = defaultdict(Counter)
        self.repeats = Repeats()
        self._states = {
            each.name: _State(each, None if each.prepare is not None else each.judge)
            for each in suite.assertions
        }
        self._of_case = {
            case.id: tuple(
                s for s in self._states.values() if s.assertion.applies(case)
            )
            for case in suite.cases
        }
        self._own = [each for each in suite.assertions if _is_own(each)]
        self.own = frozenset(each.name for each in self._own)
        self._reference = list(reference)
        self._begin()
        if reference:
            self._prepare()

    def _begin(self) -> None:
        self.decider = self._decider(self.suite.assertions)
        checks = self.paired and self._own
        self.reference = self._decider(self._own) if checks else None

    def _decider(self, assertions: Iterable[Assertion]) -> Decider:
        suite = self.suite
        return Decider(
            [_rule(each, len(suite.cases_of(each))) for each in assertions],
            cases=len(suite.cases),
            alpha=suite.alpha,
            beta=suite.beta,
            min_rounds=suite.min_rounds,
            n_min=suite.n_min,
            cap=suite.cap,
        )

    # What comes in

    def take(self, pair: Pair) -> None:
        """Judge one pair and feed it; call it in dispatch order."""
        self.pairs.append(pair)
        for entry in pair.entries():
            self._count(entry)
        for state in self._of_case[pair.case]:
            if state.judge is not None and not self.broken:
                self._rule(state, state.judge, pair)
                self._feed(state, state.rulings[-1])

    def _count(self, entry: Entry) -> None:
        sample = entry.sample
        if not entry.recorded:
            self.kinds[sample.arm][sample.kind] += 1
        if sample.kind is Kind.WRONG_MODEL:
            self._break(f"the {sample.arm} is not what was asked for: {sample.detail}")
        if sample.arm == "incumbent" and not sample.infrastructure:
            self._reference.append(sample)

    def close(self) -> None:
        """End a round: make limits that waited for the incumbent, then look."""
        self.round += 1
        self._end_round(self.round)
        rounds = _ROUNDS * len(self.cases)
        if self._waiting and len(self._reference) >= min(_REFERENCE, rounds):
            self._prepare()
        self.repeats.read(self.pairs, self.round)
        self._settle(self.round)

    def _settle(self, number: int) -> None:
        for case in self.repeats.found_in(number):
            self.decider.settle(case)

    def _end_round(self, number: int) -> None:
        self.decider.end_round(number)
        if self.reference is not None:
            self.reference.end_round(number)

    def finish(self) -> None:
        """End the run: limits are made from what there is of the incumbent."""
        if self._waiting and self._reference:
            self._prepare()

    @property
    def _waiting(self) -> bool:
        return any(state.judge is None for state in self._states.values())

    def _prepare(self) -> None:
        """Make the limits, then decide anew as if they had always been known."""
        for state in self._states.values():
            prepare = state.assertion.prepare
            if state.judge is not None or prepare is None:
                continue
            try:
                state.judge = prepare(tuple(self._reference))
            except Exception as error:  # noqa: BLE001 - the suite's own code may raise anything
                self._break(f"assertion `{state.assertion.name}` raised {error!r}")
                return
            for pair in self.pairs:
                if state.assertion.applies(self.cases[pair.case]):
                    self._rule(state, state.judge, pair)
        self._feed_again()

    def _feed_again(self) -> None:
        """Feed every ruling anew; those that were decided are decided again alike."""
        self._begin()
        found = sorted(
            (
                (ruling.pair.candidate.sample.order, place, ruling)
                for place, state in enumerate(self._states.values())
                for ruling in state.rulings
            ),
            key=lambda one: one[:2],
        )
        states, ended = tuple(self._states.values()), 0
        for _, place, ruling in found:
            ended = self._end_rounds(ended, ruling.pair.round - 1)
            self._feed(states[place], ruling)
        self._end_rounds(ended, self.round)

    def _end_rounds(self, ended: int, until: int) -> int:
        for number in range(ended + 1, until + 1):
            self._end_round(number)
            self._settle(number)
        return max(ended, until)

    def _rule(self, state: _State, judge: Judge, pair: Pair) -> None:
        case = self.cases[pair.case]
        try:
            mine = _find(state.assertion, judge, case, pair.candidate)
            other = _find(state.assertion, judge, case, pair.incumbent)
        except Exception as error:  # noqa: BLE001 - the suite's own code may raise anything
            self.raised(state.assertion, case, error)
            mine = other = None
        state.rulings.append(Ruling(pair, mine, other))

    def _feed(self, state: _State, ruling: Ruling) -> None:
        each, mine, other = state.assertion, ruling.candidate, ruling.incumbent
        bad = None if other is None else other.failed
        self.decider.feed(
            each.name, ruling.pair.case, None if mine is None else mine.failed, bad
        )
        if self.reference is None or not _is_own(each):
            return
        self.reference.feed(each.name, ruling.pair.case, bad)
        if bad and self.reference.verdict() is Verdict.BLOCK:
            self._break(
                f"the incumbent itself fails `{each.name}`: a contract that the "
                "running version breaks gates nothing; change its rates or its checks"
            )

    def raised(self, assertion: Assertion, case: Case, error: Exception) -> None:
        """Note that an assertion broke on a case: nothing can be judged by it."""
        self._break(
            f"assertion `{assertion.name}` raised {error!r} on case {case.id!r}"
        )

    def _break(self, why: str) -> None:
        self.broken = self.broken or why

    # What can be known

    @property
    def verdict(self) -> Verdict:
        """What the assertions say so far; infrastructure is not looked at."""
        return Verdict.ERROR if self.broken else self.decider.verdict()

    def open(self, case: str) -> bool:
        """Tell whether another call of a case could still matter."""
        states = self._of_case[case]
        gating = [state for state in states if state.assertion.gating] or states
        return any(self.decider.needs(s.assertion.name, case) for s in gating)

    def rulings(self, name: str) -> Sequence[Ruling]:
        """Return what an assertion said, in dispatch order."""
        return self._states[name].rulings

    def costly(self, case: str) -> tuple[Assertion, ...]:
        """Return the assertions of a case whose judges ask a model."""
        found = (state.assertion for state in self._of_case[case])
        return tuple(each for each in found if each.waits and each.prepare is None)

    @property
    def infrastructure(self) -> Mapping[str, int]:
        """Calls that failed without saying anything, by kind, both arms."""
        total: Counter[str] = Counter()
        for kinds in self.kinds.values():
            total.update({str(k): n for k, n in kinds.items() if k in INFRASTRUCTURE})
        return dict(total.most_common())

    @property
    def calls(self) -> int:
        """Calls taken so far, both arms; recorded ones left out."""
        return sum(kinds.total() for kinds in self.kinds.values())


def rules_of(suite: Suite) -> list[Rule]:
    """Return a suite's assertions as the statistics see them.

    Raises:
        ConfigError: A detector cannot tell two rates apart.
    """
    return [_rule(each, len(suite.cases_of(each))) for each in suite.assertions]


def _is_own(each: Assertion) -> bool:
    """Tell whether a version can pass or fail it without another one."""
    return each.gating and not each.relative and each.prepare is None


def _rule(each: Assertion, cases: int) -> Rule:
    tolerate, unacceptable = each.decided_rates
    return Rule(
        name=each.name,
        tolerate=tolerate,
        unacceptable=unacceptable,
        relative=each.relative,
        per_prompt=each.per_prompt,
        scope=each.scope,
        gating=each.gating,
        cases=cases,
    )


def _find(
    assertion: Assertion, judge: Judge, case: Case, entry: Entry | None
) -> Finding | None:
    """Judge one call; one that failed in transport says nothing."""
    if entry is None or entry.sample.infrastructure:
        return None
    if assertion.name in entry.findings:
        return entry.findings[assertion.name]
    return judge(case, entry.sample)
