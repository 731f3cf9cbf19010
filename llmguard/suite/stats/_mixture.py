"""Evidence about one failure rate: a mixture of likelihood ratios, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from ...errors import ConfigError
from ._beta import log_beta, log_tails

__all__ = ["BetaMixture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaMixture:
    """Two e-values for S failures in n calls: against "fine" and against "broken".

    Each is a likelihood ratio of a mixture of rates to the rate at the edge of the
    hypothesis: rates above `tolerate`, drawn from Beta(1, 1 / (2 p1)) cut to (p0, 1),
    against p0; rates below `unacceptable`, drawn from Beta(1/2, 1 / (2 p0)) cut to
    (0, p1), against p1. While the rate really is at most p0 the first exceeds 1/alpha,
    ever, with probability at most alpha (Ville's inequality); so does the second while
    the rate is at least p1. The method of mixtures is Robbins' (Annals of Mathematical
    Statistics 41, 1970); Ramdas, Grunwald, Vovk and Shafer review it (Statistical
    Science 38, 2023).

    Calls of unequal prompts, one of each per round, keep both bounds at round ends:
    the ratio of one call is linear in its outcome, 1 + l (X - p0), and a product of
    1 + l (p_i - p0) is at most (1 + l (mean p_i - p0))^m, by concavity of the
    logarithm.

    Attributes:
        tolerate: p0, in (0, 1).
        unacceptable: p1, in (p0, 1].

    Raises:
        ConfigError: Not 0 < p0 < p1 <= 1.
    """

    tolerate: float
    unacceptable: float

    def __post_init__(self) -> None:
        if not 0 < self.tolerate < self.unacceptable <= 1:
            raise ConfigError(
                f"`tolerate` {self.tolerate!r} and `unacceptable` "
                f"{self.unacceptable!r} must satisfy 0 < tolerate < unacceptable <= 1"
            )

    def log_block(self, n: int, failures: int) -> float:
        """Return the logarithm of the e-value against "the rate is at most p0"."""
        return _log_block(self.tolerate, self.unacceptable, n, failures)

    def log_accept(self, n: int, failures: int) -> float:
        """Return the logarithm of the e-value against "the rate is at least p1"."""
        return _log_accept(self.tolerate, self.unacceptable, n, failures)


@lru_cache(maxsize=65536)
def _log_block(p0: float, p1: float, n: int, failures: int) -> float:
    a, b = 1.0, 1.0 / (2.0 * p1)
    grown_a, grown_b = a + failures, b + n - failures
    mixture = log_beta(grown_a, grown_b) - log_beta(a, b)
    cut = log_tails(grown_a, grown_b, p0)[1] - log_tails(a, b, p0)[1]
    return mixture + cut - _log_likelihood(p0, n, failures)


@lru_cache(maxsize=65536)
def _log_accept(p0: float, p1: float, n: int, failures: int) -> float:
    if p1 >= 1 and failures < n:
        return math.inf  # one success refutes "it always fails"
    a, b = 0.5, 0.5 / p0
    grown_a, grown_b = a + failures, b + n - failures
    mixture = log_beta(grown_a, grown_b) - log_beta(a, b)
    cut = log_tails(grown_a, grown_b, p1)[0] - log_tails(a, b, p1)[0]
    return mixture + cut - _log_likelihood(p1, n, failures)


def _log_likelihood(p: float, n: int, failures: int) -> float:
    passed = (n - failures) * math.log1p(-p) if failures < n else 0.0
    return failures * math.log(p) + passed
