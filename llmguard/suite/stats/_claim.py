"""One face for both kinds of evidence, about a rate and about a difference."""

from __future__ import annotations

from typing import Final

from ._betting import PairedBetting, stakes
from ._mixture import BetaMixture
from ._rule import Rule, Tally

__all__ = ["Claim"]

_ACCEPT_STAKES: Final = (0.25, 0.5, 0.75, 0.95)
"""A stake l against p1 is right for the rate (1 - l) p1."""


class Claim:
    """What a rule claims of a mean outcome, and the e-values of counts against it.

    The outcome of a call is 1 where it failed and 0 where it passed; of a pair, the
    difference of the two.

    Args:
        rule: The rule.
    """

    def __init__(self, rule: Rule) -> None:
        self.relative = rule.relative
        self.low = -1.0 if rule.relative else 0.0
        """The best outcome."""
        self.tolerate, self.unacceptable = rule.tolerate, rule.unacceptable
        low, high = rule.tolerate, rule.unacceptable
        self._paired = PairedBetting(tolerate=low, unacceptable=high)
        self._mixture = (
            None if rule.relative else BetaMixture(tolerate=low, unacceptable=high)
        )
        paired = self._paired.grid
        self.block_grid = paired if rule.relative else stakes(high)
        """Fractions of wealth for bets that have no closed form."""
        self.accept_grid = paired if rule.relative else _ACCEPT_STAKES

    def log_block(self, tally: Tally, *, passes: int = 0) -> float:
        """Return the evidence against "tolerable", if `passes` more calls passed.

        For a pair the best that can come is that only the incumbent fails.
        """
        n = tally.n + passes
        if self._mixture is None:
            return self._paired.log_block(n, tally.worse, tally.better + passes)
        return self._mixture.log_block(n, tally.failures)

    def log_accept(self, tally: Tally) -> float:
        """Return the evidence against "unacceptable"."""
        if self._mixture is None:
            return self._paired.log_accept(tally.n, tally.worse, tally.better)
        return self._mixture.log_accept(tally.n, tally.failures)

    def outcome(self, tally: Tally) -> float:
        """Return the mean outcome of some calls."""
        if self.relative:
            return (tally.worse - tally.better) / tally.n
        return tally.failures / tally.n
