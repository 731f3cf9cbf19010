"""Which of many prompts to name: a list with a bounded share of false names."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["e_bh"]


def e_bh(
    log_e: Mapping[str, float], *, family: int = 0, rate: float = 0.10
) -> frozenset[str]:
    """Return the names whose e-values make the list at a false discovery rate.

    The k largest e-values are listed for the largest k at which the k-th is at least
    m / (rate k); valid whatever the dependence (Wang and Ramdas, Journal of the Royal
    Statistical Society B 84, 2022).

    Args:
        log_e: Natural logarithms of e-values, by name.
        family: m, when more were tested than are given; the rest count as no evidence.
        rate: Expected share of false names, in (0, 1).
    """
    ranked = sorted(log_e, key=lambda name: -log_e[name])
    m = max(family, len(ranked))
    listed = 0
    for k, name in enumerate(ranked, start=1):
        if log_e[name] >= math.log(m / (rate * k)):
            listed = k
    return frozenset(ranked[:listed])
