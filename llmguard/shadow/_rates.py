"""All estimates of one kind of difference, side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ._estimate import Estimate, estimate, wealth_of
from ._series import Series, Sizes

__all__ = ["Rates", "evidence_of", "rates_of"]

_LN2: Final = math.log(2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """All estimates of one kind of difference.

    Attributes:
        raw: Share of requests on which the versions differ.
        floor_a: Share on which the incumbent differs from itself.
        floor_b: Share on which the challenger differs from itself.
        net: Raw less the incumbent's floor, on requests drawn twice.
        excess: Raw less half of either floor.
        log_e: Logarithm of the e-value against "nothing changed".
    """

    raw: Estimate | None
    floor_a: Estimate | None
    floor_b: Estimate | None
    net: Estimate | None
    excess: Estimate | None
    log_e: float = 0.0

    @property
    def headline(self) -> Estimate | None:
        """The excess where both versions were drawn twice, else the net, else raw."""
        return self.excess or self.net or self.raw

    @property
    def beyond_noise(self) -> Estimate | None:
        """The excess, else the net; None without a floor."""
        return self.excess or self.net


def rates_of(series: Series, sizes: Sizes) -> Rates:
    """Return all estimates of a series."""
    return Rates(
        raw=estimate("raw", series, sizes),
        floor_a=estimate("floor_a", series, sizes),
        floor_b=estimate("floor_b", series, sizes),
        net=estimate("net", series, sizes),
        excess=estimate("excess", series, sizes),
        log_e=evidence_of(series, sizes),
    )


def evidence_of(series: Series, sizes: Sizes) -> float:
    """Return the evidence of net and excess: the mean of two e-values is one."""
    net = wealth_of(0, series, sizes)
    if not sizes.of("excess"):
        return net
    excess = wealth_of(1, series, sizes)
    high, low = max(net, excess), min(net, excess)
    return high + math.log1p(math.exp(low - high)) - _LN2
