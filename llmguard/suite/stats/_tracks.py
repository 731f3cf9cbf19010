"""The running evidence of a rule: about these prompts' mean, or about each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Protocol

from ._beta import log_sum_exp
from ._betting import EarlyBets
from ._claim import Claim
from ._rule import Tally

__all__ = ["MeanTrack", "PromptTrack", "Track"]

_EARLY_HALF: Final = 200
"""Prompts at which half of the evidence is staked on the start of the run."""


class Track(Protocol):
    """Evidence that grows call by call; the counts are kept outside."""

    @property
    def log_accept(self) -> float:
        """The evidence against "unacceptable" where the rule last might accept."""
        ...

    def feed(self, case: str, outcome: float | None) -> None:
        """Take one call, after it was counted; None when it could not be judged."""
        ...

    def end_round(self) -> None:
        """Close the round."""
        ...

    def log_block(self) -> float:
        """Return the evidence against "tolerable", valid after every call."""
        ...

    def needs(self, case: str) -> bool:
        """Tell whether another call of this case can matter."""
        ...

    def settle(self, case: str) -> None:
        """Take note that a case repeats itself and will be left out."""
        ...


class MeanTrack:
    """The mean over the prompts of the suite, each asked once a round.

    Evidence against "tolerable" is a weighted mean of two e-processes, hence one:

    - the closed form at round ends, where unequal prompts do no harm. Within a round
      it stands for what the round's end will show at least, all calls to come passing:
      a bound that no order of prompts can fool;
    - the bets on the start of the first round, which decide within a few calls where a
      round is long. Their weight is m / (m + 200): 1/6 for 40 prompts.

    Args:
        claim: The claim.
        total: Counts over all cases.
        cases: Counts per case.
        size: Number of prompts.
    """

    def __init__(
        self, claim: Claim, total: Tally, cases: Mapping[str, Tally], size: int
    ) -> None:
        self._claim, self._total, self._cases, self._size = claim, total, cases, size
        self._early = EarlyBets(
            size=size, mean=claim.tolerate, low=claim.low, grid=claim.block_grid
        )
        share = size / (size + _EARLY_HALF)
        self._log_share, self._log_rest = math.log(share), math.log1p(-share)
        self._assumed = 0
        self._called: set[str] = set()
        self._settled: set[str] = set()
        self.log_accept = 0.0

    def feed(self, case: str, outcome: float | None) -> None:
        """Take one call."""
        self._called.add(case)
        self._early.see(outcome)

    def end_round(self) -> None:
        """Close the round; cases that were left out pass, in the evidence to block."""
        self._assumed += len(self._settled - self._called)
        self._called.clear()
        self._early.stop()
        self.log_accept = self._claim.log_accept(self._total)

    def log_block(self) -> float:
        """Return the evidence against "tolerable", valid after every call."""
        left = max(self._size - len(self._called), 0) if self._called else 0
        rounds = self._claim.log_block(self._total, passes=self._assumed + left)
        return log_sum_exp(
            [self._log_rest + rounds, self._log_share + self._early.log_e]
        )

    def needs(self, case: str) -> bool:
        """Leave out settled cases as long as others are called."""
        return case not in self._settled or len(self._settled) >= self._size

    def settle(self, case: str) -> None:
        """Leave out a case that has passed throughout; failures stay interesting."""
        tally = self._cases.get(case)
        if not self._claim.relative and tally and not tally.failures:
            self._settled.add(case)


class PromptTrack:
    """Every prompt by itself, with one bound for the family of all prompts.

    The mean over prompts of their e-processes is an e-process while every prompt is
    tolerable, so that one prompt blocks alone when its e-value reaches m times the
    threshold. Accepting takes every prompt: a family with one unacceptable prompt is
    accepted only if that prompt is, so each is held to 1/beta without correction.

    Args:
        claim: The claim.
        cases: Counts per case.
        size: Number of prompts.
        accept_at: Logarithm of the e-value that accepts a prompt.
        n_min: Calls of a prompt below which nothing good is said of it.
    """

    def __init__(
        self,
        claim: Claim,
        cases: Mapping[str, Tally],
        size: int,
        *,
        accept_at: float,
        n_min: int,
    ) -> None:
        self._claim, self._cases, self._size = claim, cases, size
        self._accept_at, self._n_min = accept_at, n_min
        self._log_e: dict[str, float] = {}
        self._accepted: dict[str, float] = {}
        self.log_accept = 0.0

    def feed(self, case: str, outcome: float | None) -> None:
        """Take one call."""
        if outcome is not None:
            self._log_e[case] = self._claim.log_block(self._cases[case])

    def end_round(self) -> None:
        """Accept prompts; the rule is as good as its least certain prompt."""
        seen = self._cases.items()
        now = {
            case: self._claim.log_accept(tally)
            for case, tally in seen
            if tally.n >= self._n_min
        }
        for case, log_e in now.items():
            if log_e >= self._accept_at:
                self._accepted.setdefault(case, log_e)
        if len(now) >= self._size:
            self.log_accept = min((now | self._accepted).values())

    def log_block(self) -> float:
        """Return the logarithm of the mean e-value over all prompts."""
        unseen = self._size - len(self._log_e)
        rest = [math.log(unseen)] if unseen > 0 else []
        return log_sum_exp([*self._log_e.values(), *rest]) - math.log(self._size)

    def needs(self, case: str) -> bool:
        """Leave out prompts that are accepted."""
        return case not in self._accepted

    def settle(self, case: str) -> None:
        """Do nothing: a few equal answers bound a single prompt's rate too loosely."""
