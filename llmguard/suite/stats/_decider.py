"""The sequential decision over all rules of a suite; pure, no input or output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ...errors import ConfigError
from .._types import Status, Verdict
from ._ledger import Ledger
from ._rule import Rule, RuleState

__all__ = ["Decider"]


class Decider:
    """Decides rules from a stream of calls; feed it in dispatch order.

    A version within every tolerance is blocked with probability at most `alpha`: each
    of the K gating rules blocks at K / alpha. One that is unacceptable under some rule
    is accepted with probability at most `beta`: promoting takes every gating rule, so
    each accepts at 1 / beta without correction. Both hold however long the run goes on
    and whenever it is stopped.

    A rule may block at any call. It is accepted at round ends, from `min_rounds` on; a
    rule about traffic also within its first round, where calls are independent draws.
    What is decided stays decided, and its counts stay as they were.

    Args:
        rules: At least one; names are unique.
        cases: Number of cases of the suite.
        alpha: Chance of a false block, of the whole suite.
        beta: Chance of a false acceptance, of each rule.
        min_rounds: Rounds before a rule about the suite is accepted.
        n_min: Calls of each prompt before a rule about single prompts is accepted.
        cap: Rounds after which nothing is needed any more.
        clusters: Cluster of each case, for rules about traffic (same user, same
            template); by default each case is a draw of its own.

    Raises:
        ConfigError: An argument cannot be.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        cases: int,
        alpha: float = 0.01,
        beta: float = 0.05,
        min_rounds: int = 3,
        n_min: int = 10,
        cap: int = 50,
        clusters: Mapping[str, str] | None = None,
    ) -> None:
        _check(rules, cases, alpha, beta, cap)
        self.alpha, self.beta, self.cap = alpha, beta, cap
        self.min_rounds, self.n_min = min_rounds, n_min
        self.rounds = 0
        """Rounds that have ended."""
        family = max(sum(rule.gating for rule in rules), 1)
        self._ledgers = {
            rule.name: Ledger(
                rule,
                size=rule.cases or cases,
                block_at=math.log(family / alpha),
                accept_at=math.log(1 / beta),
                n_min=n_min,
                cap=cap,
                clusters=clusters or {},
            )
            for rule in rules
        }

    def feed(
        self,
        rule: str,
        case: str,
        failed: bool | None,
        incumbent_failed: bool | None = None,
    ) -> None:
        """Take one call of one case under one rule, in dispatch order; may block.

        Args:
            rule: Name of the rule; ignored once it is decided.
            case: Id of the case, once per round.
            failed: What the assertion found; None when it has nothing to say, or the
                call failed for reasons of infrastructure.
            incumbent_failed: The same of the incumbent's call of this round, for
                relative rules; a pair counts when both were judged.

        Raises:
            ConfigError: No such rule, or the case was fed in this round already.
        """
        self._ledger(rule).feed(case, failed, incumbent_failed, self.rounds + 1)

    def end_round(self, round: int = 0) -> None:  # noqa: A002 - it is called that
        """Close a round: rules are accepted here.

        Args:
            round: Its number from 1; by default the next.
        """
        self.rounds = round or self.rounds + 1
        for ledger in self._ledgers.values():
            ledger.end_round(self.rounds, self.min_rounds)

    def settle(self, case: str) -> None:
        """Leave a case out of further rounds because its answers repeat.

        Holds for rules about the suite's mean, and only while the case has never
        failed them. The block evidence goes on as if it passed, the accept evidence
        without it, and no count grows: equal answers do not prove that others are
        impossible (after 5, another still has a chance of up to 45 %).
        """
        for ledger in self._ledgers.values():
            ledger.settle(case)

    def needs(self, rule: str, case: str) -> bool:
        """Tell whether another call of this case can still matter to this rule.

        Raises:
            ConfigError: No such rule.
        """
        return self.rounds < self.cap and self._ledger(rule).needs(case)

    @property
    def open(self) -> tuple[str, ...]:
        """Names of the rules that are not decided."""
        return tuple(
            name
            for name, ledger in self._ledgers.items()
            if ledger.status is Status.OPEN
        )

    @property
    def decided(self) -> bool:
        """True when the verdict is known, even if some rule is still open."""
        return self.verdict() is not Verdict.UNDECIDED

    def verdict(self) -> Verdict:
        """Return BLOCK, PROMOTE or UNDECIDED, from the gating rules alone."""
        statuses = {
            ledger.status for ledger in self._ledgers.values() if ledger.rule.gating
        }
        if Status.BLOCKED in statuses:
            return Verdict.BLOCK
        return Verdict.PROMOTE if statuses == {Status.ACCEPTED} else Verdict.UNDECIDED

    def state(self, rule: str) -> RuleState:
        """Return where a rule stands.

        Raises:
            ConfigError: No such rule.
        """
        return self._ledger(rule).state()

    def states(self) -> tuple[RuleState, ...]:
        """Return where all rules stand, in the order given."""
        return tuple(ledger.state() for ledger in self._ledgers.values())

    def _ledger(self, rule: str) -> Ledger:
        try:
            return self._ledgers[rule]
        except KeyError:
            raise ConfigError(
                f"no rule {rule!r} in this suite; it has "
                f"{', '.join(map(repr, self._ledgers))}"
            ) from None


def _check(
    rules: Sequence[Rule], cases: int, alpha: float, beta: float, cap: int
) -> None:
    names = [rule.name for rule in rules]
    if not rules or len(set(names)) != len(names):
        raise ConfigError(
            f"rules {names!r}: give at least one, each with a name of its own"
        )
    if not (0 < alpha < 1 and 0 < beta < 1):
        raise ConfigError(
            f"`alpha` {alpha!r} and `beta` {beta!r} are probabilities of a wrong "
            "verdict: give numbers between 0 and 1, such as 0.01 and 0.05"
        )
    if cases < 1 or cap < 1:
        raise ConfigError(f"`cases` {cases!r} and `cap` {cap!r} must be at least 1")
