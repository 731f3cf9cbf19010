"""What draws took and cost, and how they were lost: counts that merge."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from ._draw import Draw

__all__ = ["Meter"]

_STEP: Final = math.log(1.05)
_TINY: Final = 1e-6
_MICRO: Final = 10**9


class Meter:
    """One version's draws.

    Attributes:
        draws: How many there were.
        lost: Those that could not be compared, by kind.
        acts: The others, by what the version did.
    """

    __slots__ = ("_cost", "_costed", "_latency", "acts", "draws", "lost")

    def __init__(self) -> None:
        self.draws = 0
        self.lost: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()
        self._latency: Counter[int] = Counter()
        self._cost = 0
        self._costed = 0

    def add(self, draw: Draw) -> None:
        """Count one draw."""
        self.draws += 1
        if draw.latency_s is not None and draw.latency_s >= 0:
            self._latency[round(math.log(max(draw.latency_s, _TINY)) / _STEP)] += 1
        if draw.cost is not None:
            self._cost += round(draw.cost * _MICRO)
            self._costed += 1

    def merge(self, other: Meter) -> None:
        """Take in another part."""
        self.draws += other.draws
        self.lost += other.lost
        self.acts += other.acts
        self._latency += other._latency
        self._cost += other._cost
        self._costed += other._costed

    def latency(self, share: float) -> float | None:
        """Return a quantile of the seconds taken, to 2.5 %; None when not known."""
        wanted = share * self._latency.total()
        seen = 0
        for step in sorted(self._latency):
            seen += self._latency[step]
            if seen >= wanted:
                return math.exp(step * _STEP)
        return None

    @property
    def cost(self) -> float | None:
        """Mean cost of a draw; None when not known."""
        return self._cost / _MICRO / self._costed if self._costed else None

    @property
    def lost_share(self) -> float:
        """Share of draws that could not be compared."""
        return self.lost.total() / self.draws if self.draws else 0.0

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "draws": self.draws,
            "lost": dict(sorted(self.lost.items())),
            "acts": dict(sorted(self.acts.items())),
            "latency": {str(k): v for k, v in sorted(self._latency.items())},
            "cost": [self._cost, self._costed],
        }

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Meter:
        """Read what `document` wrote."""
        made = cls()
        made.draws = document["draws"]
        made.lost = Counter(document["lost"])
        made.acts = Counter(document["acts"])
        made._latency = Counter({int(k): v for k, v in document["latency"].items()})
        made._cost, made._costed = document["cost"]
        return made
