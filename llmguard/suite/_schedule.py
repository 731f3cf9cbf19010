"""The dispatch order: which case is asked when, known before the first call.

Each round asks every case once, in an order drawn anew: with weak cases always first,
looking after every call would block 15 to 30 % of good versions.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ._types import Arm

__all__ = ["Schedule", "Turn", "order_digest"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One case's turn in a round: its arms in the order they are asked.

    Attributes:
        case: Id of the case.
        round: 1 for the first time it is asked, and so on.
        arms: Each arm with its place in the dispatch order.
    """

    case: str
    round: int
    arms: tuple[tuple[Arm, int], ...]


class Schedule:
    """Deals out cases; nothing but the seed and what was left out decides the order.

    Args:
        cases: Ids of the cases, in the suite's order.
        seed: Seed of every shuffle.
        cap: Rounds.
        paired: Whether the incumbent is asked beside the candidate.
    """

    def __init__(
        self,
        cases: Sequence[str],
        *,
        seed: int,
        cap: int,
        paired: bool = False,
    ) -> None:
        self._cases = tuple(cases)
        self._seed = seed
        self._paired = paired
        self.cap = cap
        self.next_order = 0

    def rounds(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each round up to the cap, with the cases in their order."""
        for turn in range(1, self.cap + 1):
            drawn = list(self._cases)
            self._rng("cases", turn).shuffle(drawn)
            yield turn, tuple(drawn)

    def deal(self, turn: int, cases: Iterable[tuple[str, bool]]) -> list[Turn]:
        """Number the calls of a round.

        Args:
            turn: The round.
            cases: Ids in order, each with whether the incumbent can be asked.
        """
        dealt: list[Turn] = []
        for case, both in cases:
            arms: list[Arm] = ["candidate"]
            if self._paired and both:
                arms.append("incumbent")
                # Neither version is always the first to be asked.
                self._rng("arms", turn, case).shuffle(arms)
            numbered: list[tuple[Arm, int]] = []
            for arm in arms:
                numbered.append((arm, self.next_order))
                self.next_order += 1
            dealt.append(Turn(case, turn, tuple(numbered)))
        return dealt

    def _rng(self, *parts: object) -> random.Random:
        """Return a generator that depends on nothing but its arguments."""
        text = "\n".join(map(str, (self._seed, *parts)))
        return random.Random(hashlib.sha256(text.encode()).digest())  # noqa: S311 - an order, no secret


def order_digest(calls: Iterable[tuple[str, str, int]]) -> str:
    """Return the digest of a dispatch order: arm, case and round of each call."""
    digest = hashlib.sha256()
    for arm, case, turn in calls:
        digest.update(f"{arm}\0{case}\0{turn}\n".encode())
    return f"sha256:{digest.hexdigest()}"
