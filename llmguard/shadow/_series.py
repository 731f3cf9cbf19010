"""Sums over requests, from which every rate, interval and e-value is computed.

Requests differ in what was drawn: always A and B, on some also A' and B'. For a kind of
difference d, each request has up to five numbers, all of them shares of pairs of draws:

* raw: A against B;
* floor_a: A against A';  floor_b: B against B';
* net: raw less floor_a;  excess: raw less half of floor_a and half of floor_b.

Sums are kept as whole numbers of a billionth, so that they are the same in whatever
order requests were added and however many parts were merged. Most requests show no
difference of a given kind: only those that do are added, the rest is known by `Sizes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, cast

__all__ = [
    "ESTIMANDS",
    "GROUPS",
    "STEPS",
    "UNIT",
    "Estimand",
    "Series",
    "Shares",
    "Sizes",
]

Estimand = Literal["raw", "floor_a", "floor_b", "net", "excess"]
ESTIMANDS: Final[tuple[Estimand, ...]] = (
    "raw",
    "floor_a",
    "floor_b",
    "net",
    "excess",
)
UNIT: Final = 10**9
STEPS: Final = 4
"""Differences of one request, of two draws at most on each side, are quarters."""
GROUPS: Final = 512
"""Clusters are hashed into this many groups; see `_intervals`."""


class Shares(NamedTuple):
    """What one request shows of one kind of difference.

    Attributes:
        raw: Share of the pairs (A, B) that differ.
        floor_a: Share of the pairs (A, A'); None when A was drawn once.
        floor_b: Share of the pairs (B, B'); None when B was drawn once.
        first_raw: As `raw`, of the first two draws of each side.
        first_a: As `floor_a`, of the first two draws.
        first_b: As `floor_b`, of the first two draws.
    """

    raw: float
    floor_a: float | None
    floor_b: float | None
    first_raw: float
    first_a: float | None
    first_b: float | None

    def of(self, name: Estimand) -> float | None:
        """Return one estimand of this request; None when it was not drawn for it."""
        if name == "raw":
            return self.raw
        if name == "floor_b":
            return self.floor_b
        if self.floor_a is None or name == "floor_a":
            return self.floor_a
        if name == "net":
            return self.raw - self.floor_a
        if self.floor_b is None:
            return None
        return self.raw - (self.floor_a + self.floor_b) / 2


class Sizes:
    """How many requests each estimand rests on, in all and by group of clusters."""

    __slots__ = ("groups", "n")

    def __init__(self) -> None:
        self.n = [0] * len(ESTIMANDS)
        self.groups: dict[int, list[int]] = {}

    def add(self, *, twice_a: bool, twice_b: bool, group: int | None) -> None:
        """Count one request."""
        row = (1, int(twice_a), int(twice_b), int(twice_a), int(twice_a and twice_b))
        _into(self.n, row)
        if group is not None:
            _into(self.groups.setdefault(group, [0] * len(ESTIMANDS)), row)

    def merge(self, other: Sizes) -> None:
        """Take in another part."""
        _into(self.n, other.n)
        for group, row in other.groups.items():
            _into(self.groups.setdefault(group, [0] * len(ESTIMANDS)), row)

    def of(self, name: Estimand) -> int:
        """Return the number of requests of one estimand."""
        return self.n[ESTIMANDS.index(name)]

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {"n": self.n, "groups": {str(k): v for k, v in self.groups.items()}}

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Sizes:
        """Read what `document` wrote."""
        made = cls()
        made.n = list(document["n"])
        made.groups = {int(k): list(v) for k, v in document["groups"].items()}
        return made


class Series:
    """Sums of one kind of difference.

    Attributes:
        sums: Of each estimand, in billionths.
        squares: Of their squares.
        bets: Requests by quarters of their net (first) and excess (second), of the
            first two draws; those at 0 are left out.
        groups: Sums of each estimand by group of clusters.
    """

    __slots__ = ("bets", "groups", "squares", "sums")

    def __init__(self) -> None:
        self.sums = [0] * len(ESTIMANDS)
        self.squares = [0] * len(ESTIMANDS)
        self.bets: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.groups: dict[int, list[int]] = {}

    def add(self, shares: Shares, *, group: int | None) -> None:
        """Add what one request shows; all zeros need not be added."""
        row = [0] * len(ESTIMANDS)
        for i, name in enumerate(ESTIMANDS):
            value = shares.of(name)
            if value:
                row[i] = round(value * UNIT)
                self.squares[i] += round(value * value * UNIT)
        _into(self.sums, row)
        if group is not None:
            _into(self.groups.setdefault(group, [0] * len(ESTIMANDS)), row)
        if shares.first_a is not None:
            self._bet(0, shares.first_raw - shares.first_a)
            if shares.first_b is not None:
                noise = (shares.first_a + shares.first_b) / 2
                self._bet(1, shares.first_raw - noise)

    def _bet(self, which: int, value: float) -> None:
        step = round(value * STEPS)
        if step:
            self.bets[which][step] = self.bets[which].get(step, 0) + 1

    def merge(self, other: Series) -> None:
        """Take in another part."""
        _into(self.sums, other.sums)
        _into(self.squares, other.squares)
        for mine, theirs in zip(self.bets, other.bets, strict=True):
            for step, count in theirs.items():
                mine[step] = mine.get(step, 0) + count
        for group, row in other.groups.items():
            _into(self.groups.setdefault(group, [0] * len(ESTIMANDS)), row)

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {
            "sums": self.sums,
            "squares": self.squares,
            "bets": [{str(k): v for k, v in sorted(bet.items())} for bet in self.bets],
            "groups": {str(k): v for k, v in sorted(self.groups.items())},
        }

    @classmethod
    def load(cls, document: Mapping[str, Any]) -> Series:
        """Read what `document` wrote."""
        made = cls()
        made.sums, made.squares = list(document["sums"]), list(document["squares"])
        net, excess = cast("Sequence[Mapping[str, int]]", document["bets"])
        made.bets = (
            {int(k): v for k, v in net.items()},
            {int(k): v for k, v in excess.items()},
        )
        made.groups = {int(k): list(v) for k, v in document["groups"].items()}
        return made


def _into(mine: list[int], more: Sequence[int]) -> None:
    for i, value in enumerate(more):
        if value:
            mine[i] += value
