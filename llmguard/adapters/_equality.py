"""Whether two samples of answers to the same prompts come from one distribution.

The maximum mean discrepancy with a Hamming kernel over characters, permuted within each
prompt: Gao, Liang and Guestrin, Model Equality Testing (arXiv 2410.20247). It asks "did
anything change?", which is right for a version that must not, and wrong for a gate:
every upgrade changes something.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

__all__ = ["equality"]

_LENGTH: Final = 1_000
"""Characters of an answer that are compared."""
_PERMUTATIONS: Final = 999

Sample = Sequence[Sequence[str]]
"""Answers by prompt."""


def equality(
    before: Sample,
    after: Sample,
    *,
    seed: int = 0,
    permutations: int = _PERMUTATIONS,
) -> float:
    """Return the p-value of "both samples come from one distribution".

    It is exact for any number of answers: under the null a value of at most p has a
    chance of at most p.

    Args:
        before: Answers to each prompt, two or more of each.
        after: The same prompts in the same order.
        seed: Of the permutations, so that the same samples give the same value.
        permutations: How many; the smallest value is 1 / (permutations + 1).

    Raises:
        ValueError: Different prompts, or fewer than two answers to one.
    """
    grams = [_Gram(*both) for both in zip(before, after, strict=True)]
    chance = random.Random(seed)  # noqa: S311 - permutations are no secrets
    seen = sum(gram.discrepancy(gram.first) for gram in grams)
    # A sum of the same numbers in another order may differ in its last digits.
    reach = seen - 1e-9 * max(1.0, abs(seen))
    as_large = sum(
        sum(gram.discrepancy(gram.shuffled(chance)) for gram in grams) >= reach
        for _ in range(permutations)
    )
    return (1 + as_large) / (1 + permutations)


class _Gram:
    """The kernel between all answers to one prompt."""

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        self.n, self.m = len(before), len(after)
        if min(self.n, self.m) < 2:  # noqa: PLR2004 - a pair
            raise ValueError(f"{self.n} and {self.m} answers: two of each are compared")
        texts = [text[:_LENGTH] for text in (*before, *after)]
        size = len(texts)
        self.kernel = [[0.0] * size for _ in texts]
        for i in range(size):
            for j in range(i):
                self.kernel[i][j] = self.kernel[j][i] = _alike(texts[i], texts[j])
        self.sums = [sum(row) for row in self.kernel]
        self.total = sum(self.sums)
        self.first: Sequence[int] = range(self.n)

    def shuffled(self, chance: random.Random) -> Sequence[int]:
        """Return which answers come first, drawn anew."""
        return chance.sample(range(self.n + self.m), self.n)

    def discrepancy(self, first: Sequence[int]) -> float:
        """Return the unbiased squared discrepancy when `first` is one sample."""
        inside = sum(self.kernel[i][j] for i in first for j in first)
        touching = sum(self.sums[i] for i in first)
        across = touching - inside
        outside = self.total - touching - across
        n, m = self.n, self.m
        same = inside / (n * (n - 1)) + outside / (m * (m - 1))
        return same - 2 * across / (n * m)


def _alike(one: str, other: str) -> float:
    """Return the share of places with the same character, of the longer text."""
    longest = max(len(one), len(other))
    if one == other or not longest:
        return 1.0
    return sum(map(str.__eq__, one, other)) / longest
