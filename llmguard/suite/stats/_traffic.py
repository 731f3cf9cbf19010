"""The running evidence of a rule about traffic, of which the prompts are a sample."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

from ._beta import log_mean_exp, log_sum_exp
from ._claim import Claim
from ._rule import Tally

__all__ = ["TrafficTrack"]

_FIRST: Final = 0.75
"""Share of the evidence staked on the first round, where each call is a new draw."""


class TrafficTrack:
    """The mean over the traffic that the prompts (or clusters of them) were drawn from.

    First calls of prompts are independent draws with that mean, so the closed form is
    valid after every one of them, for blocking and for accepting. Later rounds repeat
    the same draws: for them a cluster is one observation, its mean outcome so far,
    which gives one e-value per round. The evidence is the sum of these, weighted with
    weights fixed beforehand that add up to at most 1 (3/4 for the first round, then
    1/8, 1/16, ...), hence an e-process. It stays bounded however often the same
    prompts are asked: few prompts never speak for traffic.

    Args:
        claim: The claim.
        total: Counts over all cases.
        cases: Counts per case.
        clusters: Which cluster a case belongs to; each is one of its own if absent.
        rounds: Rounds there may be; with one, all is staked on it.
    """

    def __init__(
        self,
        claim: Claim,
        total: Tally,
        cases: Mapping[str, Tally],
        *,
        clusters: Mapping[str, str],
        rounds: int,
    ) -> None:
        self._claim, self._total, self._cases = claim, total, cases
        self._clusters = clusters
        sizes = Counter(clusters.values())
        self._independent = all(size == 1 for size in sizes.values())
        self._log_first = 0.0 if rounds == 1 else math.log(_FIRST)
        self._ended = 0
        self._block: list[float] = []
        self._accept: list[float] = []

    def feed(self, case: str, outcome: float | None) -> None:
        """Nothing to keep: the counts say it all."""

    def end_round(self) -> None:
        """Add the e-values of this round."""
        self._ended += 1
        if self._ended == 1:
            first = self._first()
            block, accept = first or self._by_cluster()
            weight = self._log_first
        else:
            block, accept = self._by_cluster()
            weight = math.log(1 - _FIRST) - (self._ended - 1) * math.log(2)
        self._block.append(weight + block)
        self._accept.append(weight + accept)

    def log_block(self) -> float:
        """Return the evidence against "tolerable", valid after every call."""
        first = None if self._ended else self._first()
        return log_sum_exp(
            self._block or [self._log_first + (first[0] if first else 0.0)]
        )

    @property
    def log_accept(self) -> float:
        """The evidence against "unacceptable", valid after every call."""
        first = None if self._ended else self._first()
        return log_sum_exp(
            self._accept or [self._log_first + (first[1] if first else 0.0)]
        )

    @property
    def any_call(self) -> bool:
        """True while each call is a new draw, so that any of them may accept."""
        return self._independent and not self._ended

    def needs(self, case: str) -> bool:  # noqa: ARG002 - one face for all tracks
        """Every case, always."""
        return True

    def settle(self, case: str) -> None:
        """Do nothing: leaving out cases by what they said would bias their means."""

    def _first(self) -> tuple[float, float] | None:
        if not self._independent:
            return None
        claim = self._claim
        return claim.log_block(self._total), claim.log_accept(self._total)

    def _by_cluster(self) -> tuple[float, float]:
        means = self._means()
        low, high = self._claim.tolerate, min(self._claim.unacceptable, 1 - 1e-12)
        worst = [(x - low) / (low - self._claim.low) for x in means]
        best = [(high - x) / (1 - high) for x in means]
        claim = self._claim
        return _wealth(worst, claim.block_grid), _wealth(best, claim.accept_grid)

    def _means(self) -> list[float]:
        groups: dict[str, list[float]] = {}
        for case, tally in self._cases.items():
            cluster = self._clusters.get(case, case)
            groups.setdefault(cluster, []).append(self._claim.outcome(tally))
        return [math.fsum(group) / len(group) for group in groups.values()]


def _wealth(gains: list[float], grid: tuple[float, ...]) -> float:
    return log_mean_exp(
        [math.fsum(math.log1p(stake * gain) for gain in gains) for stake in grid]
    )
