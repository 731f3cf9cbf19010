"""How many requests a divergence needs, and what is out of sight with those there are.

With variance v of a request's net, the best bet on a net d grows by d^2 / (2 v) per
request; after n of them the logarithm of its wealth has a standard deviation of
d sqrt(n / v). It reaches ln(E c) with the power of the normal quantile z after

    n = v / d^2 (z + sqrt(z^2 + 2 ln(E c)))^2

requests: the Gaussian limit of the betting process, c = 3 being the price of not
knowing the best stake. Simulations in the tests hold this to the process itself.
"""

from __future__ import annotations

import math
from typing import Final

from ._series import ESTIMANDS, UNIT, Series, Sizes

__all__ = ["detectable", "least", "needed", "spread"]

_POWER: Final = 0.8416
_PRICE: Final = 3.0
_NET: Final = ESTIMANDS.index("net")


def needed(
    difference: float, variance: float, *, evidence: float, power: bool = True
) -> int:
    """Return requests, drawn twice, after which a net difference is declared.

    Args:
        difference: The true net, as a share.
        variance: Of a single request's net.
        evidence: The limit of the e-process.
        power: True for four chances in five, False for even chances.
    """
    return math.ceil(variance * _factor(evidence, power=power) / difference**2)


def spread(floor: float, difference: float, *, overlap: float) -> float:
    """Return the variance of a request's net.

    Args:
        floor: How often the incumbent differs from itself.
        difference: The net.
        overlap: Of the requests on which the incumbent differs from itself, the share
            on which the challenger differs too: unstable requests are unstable for
            both. Measured: 0.7 to 0.8.
    """
    both = overlap * floor
    raw = floor + difference
    return max(raw + floor - 2 * both - difference**2, 1e-6)


def detectable(series: Series, sizes: Sizes, *, evidence: float) -> float | None:
    """Return the smallest net that these requests declare with 80 %; None without any.

    Args:
        series: The sums; their variance is used, two further requests added.
        sizes: Their numbers of requests.
        evidence: The limit of the e-process.
    """
    n = sizes.n[_NET]
    if not n:
        return None
    mean = series.sums[_NET] / UNIT / n
    variance = max(series.squares[_NET] / UNIT / n - mean * mean, 0.0) + 1 / (n + 2)
    return least(n, variance, evidence=evidence)


def least(n: float, variance: float, *, evidence: float) -> float:
    """Return the smallest net that `n` requests declare with 80 %."""
    if n <= 0:
        return 1.0
    return min(math.sqrt(variance * _factor(evidence, power=True) / n), 1.0)


def _factor(evidence: float, *, power: bool) -> float:
    z = _POWER if power else 0.0
    return (z + math.sqrt(z * z + 2 * math.log(evidence * _PRICE))) ** 2
