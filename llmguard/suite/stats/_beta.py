"""Logarithms of the beta function and of the beta distribution's two tails.

scipy has the tails but not their logarithms, and the evidence of a long run lies far
below the smallest double: I_x(a, b) = 1e-4000 is an ordinary value here.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["log_beta", "log_mean_exp", "log_sum_exp", "log_tails"]

_LN2: Final = math.log(2.0)
_SMALLEST: Final = 1e-300
_PRECISION: Final = 1e-15


def log_beta(a: float, b: float) -> float:
    """Return log B(a, b); off by about 1e-9 for arguments of a million."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def log_tails(a: float, b: float, x: float) -> tuple[float, float]:
    """Return log I_x(a, b) and log(1 - I_x(a, b)), each to about nine digits.

    The continued fraction of DLMF 8.17.22 (https://dlmf.nist.gov/8.17#v) on the side
    where it converges fast, the other tail as its complement.

    Args:
        a: Positive.
        b: Positive.
        x: In [0, 1].
    """
    if x <= 0:
        return -math.inf, 0.0
    if x >= 1:
        return 0.0, -math.inf
    if x > (a + 1) / (a + b + 2):
        upper, lower = log_tails(b, a, 1 - x)
        return lower, upper
    front = a * math.log(x) + b * math.log1p(-x) - math.log(a) - log_beta(a, b)
    lower = min(front + math.log(_fraction(a, b, x)), 0.0)
    return lower, _log_complement(lower)


def log_sum_exp(terms: list[float]) -> float:
    """Return log(sum(exp(terms))) without overflow."""
    top = max(terms)
    if math.isinf(top):
        return top
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def log_mean_exp(terms: list[float]) -> float:
    """Return the logarithm of the mean of exp(terms)."""
    return log_sum_exp(terms) - math.log(len(terms))


def _log_complement(log_p: float) -> float:
    """Return log(1 - p); the two forms keep their digits on either side of 1/2."""
    if log_p >= 0:
        return -math.inf
    if log_p > -_LN2:
        return math.log(-math.expm1(log_p))
    return math.log1p(-math.exp(log_p))


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction by Lentz's method; it converges on this side."""
    d = value = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    c, m, change = 1.0, 0, 0.0
    while abs(change - 1.0) >= _PRECISION:
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away_from_zero(1.0 + even * d)
        c = _away_from_zero(1.0 + even / c)
        value *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away_from_zero(1.0 + odd * d)
        c = _away_from_zero(1.0 + odd / c)
        change = c * d
        value *= change
    return value


def _away_from_zero(x: float) -> float:
    return x if abs(x) > _SMALLEST else _SMALLEST
