"""What the draws of one request show: every pair of them compared, counted by kind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

from ._ladder import Ladder
from ._reading import Reading
from ._rungs import Divergence, Rung, Severity, named_direction
from ._series import UNIT, Shares

__all__ = ["Found", "Key", "Transition"]

Transition: TypeAlias = tuple[str, str, str]
"""Path, before, after."""
Key: TypeAlias = tuple[str, ...]
"""`main`, `register`, or `rung`, `path`, `direction` and which one."""


class Found:
    """Every difference between the draws of one request."""

    __slots__ = ("_aa", "_bb", "_cross", "_firsts", "first")

    def __init__(
        self,
        ladder: Ladder,
        a: Sequence[Reading],
        b: Sequence[Reading],
        *,
        cross: str,
        same: bool,
    ) -> None:
        compare = ladder.differences
        theirs = b if cross == "all" else b[:1]
        self._cross = [
            (i, j, compare(one, other))
            for i, one in enumerate(a)
            for j, other in enumerate(theirs)
            if not (same and i == j)
        ]
        self._aa = [
            (i, j, compare(a[i], a[j])) for i, j in combinations(range(len(a)), 2)
        ]
        self._bb = [
            (i, j, compare(b[i], b[j])) for i, j in combinations(range(len(b)), 2)
        ]
        self.first = self._cross[0][2] if self._cross else []

    @property
    def differs(self) -> bool:
        """True when any two draws differ."""
        return any(d for rows in (self._cross, self._aa, self._bb) for _, _, d in rows)

    def shares(self) -> dict[Key, Shares]:
        """Return what the request shows of each kind of difference."""
        cross = _count(self._cross), _count(self._cross, first=True)
        aa = _count(self._aa, both=True), _count(self._aa, both=True, first=True)
        bb = _count(self._bb, both=True), _count(self._bb, both=True, first=True)
        keys = {*cross[0], *aa[0], *bb[0]}
        n_a, n_b = bool(self._aa), bool(self._bb)
        return {
            key: Shares(
                cross[0].get(key, 0.0),
                aa[0].get(key, 0.0) if n_a else None,
                bb[0].get(key, 0.0) if n_b else None,
                cross[1].get(key, 0.0),
                aa[1].get(key, 0.0) if n_a else None,
                bb[1].get(key, 0.0) if n_b else None,
            )
            for key in keys
        }

    def transitions(self, *, content: bool) -> dict[Transition, list[int]]:
        """Return the weight of each transition: across, within A, within B."""
        found: dict[Transition, list[int]] = {}
        for at, (rows, both) in enumerate(
            ((self._cross, False), (self._aa, True), (self._bb, True))
        ):
            weight = UNIT // len(rows) if rows else 0
            for _, _, differences in rows:
                for each in differences:
                    d = each if content else each.sealed()
                    ends = [(d.path, d.before, d.after)]
                    ends += [(d.path, d.after, d.before)] * both
                    for key in ends:
                        row = found.setdefault(key, [0, 0, 0])
                        row[at] += weight // len(ends)
        return found

    def stable(self, found: Divergence) -> bool | None:
        """Tell whether both versions agree with themselves on a path."""
        if not (self._aa or self._bb):
            return None
        return not any(
            each.path == found.path
            for rows in (self._aa, self._bb)
            for _, _, differences in rows
            for each in differences
        )


def _count(
    rows: Sequence[tuple[int, int, list[Divergence]]],
    *,
    both: bool = False,
    first: bool = False,
) -> dict[Key, float]:
    """Return the share of pairs of draws that show each kind of difference.

    Args:
        rows: The differences of each pair.
        both: The pair has no order: directions count half each way.
        first: Look at the first two draws of each side only.
    """
    used = [d for i, j, d in rows if not first or (i < 2 and j < 2)]  # noqa: PLR2004 - two draws
    found: dict[Key, float] = {}
    for differences in used:
        for key, weight in _keys(differences, both=both).items():
            found[key] = found.get(key, 0.0) + weight
    return {key: weight / len(used) for key, weight in found.items()}


def _keys(found: Sequence[Divergence], *, both: bool) -> dict[Key, float]:
    """Return the kinds of difference that two draws show, with their weight."""
    keys: dict[Key, float] = {("path", each.path): 1.0 for each in found}
    counting = [each for each in found if each.counts]
    if counting:
        keys["main",] = keys["rung", str(counting[0].rung.value)] = 1.0
    if any(d.rung is Rung.REGISTER and d.severity > Severity.NOTE for d in found):
        keys["register",] = 1.0
        if not counting:
            keys["rung", str(Rung.REGISTER.value)] = 1.0
    for each in found:
        if each.rung is Rung.ACT:
            ends = [(each.before, each.after)]
            ends += [(each.after, each.before)] * both
            for one in ends:
                name = named_direction(*one)
                if name:
                    key = ("direction", name)
                    keys[key] = keys.get(key, 0.0) + 1 / len(ends)
    return keys
