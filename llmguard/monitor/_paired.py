"""Two versions on the same inputs: which one fails more, and whether they differ.

Failures are decided by an e-test on discordant pairs (a betting martingale on a fair
coin; Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic statistics and safe anytime-
valid inference", Statistical Science 38, 2023), so it may stop as soon as it is sure.
Difference is decided by a sign-flip test against a second draw of the reference, so
that a version which differs from itself is not called different.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from .._dataclass import dataclass
from ..outcome import POLICY, Kind, Signal

if TYPE_CHECKING:
    from .drift import Fields

__all__ = [
    "ALPHA_CHANGED",
    "ALPHA_WORSE",
    "FailureTest",
    "Said",
    "decisions_of",
    "failed",
    "flip_test",
    "moved",
    "similarity",
]

ALPHA_WORSE: Final = 0.01
"""Chance that a version which is no worse is called worse."""
ALPHA_CHANGED: Final = 0.001
"""Chance that a version which answers as ever is called changed."""

_BETS: Final = (0.6, 0.7, 0.8, 0.9, 0.97)
_FLIPS: Final = 20_000
_SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a version said to one input, as far as it is compared; no text is in it.

    Attributes:
        kind: How the call ended.
        hashed: Embedding of the text, 256 numbers; None when it failed.
        decisions: Value of every field that is a decision, by path.
        broken: Names of the contract's checks that it does not pass.
    """

    kind: Kind
    hashed: Sequence[float] | None = None
    decisions: Mapping[str, object] | None = None
    broken: tuple[str, ...] = ()


def failed(kind: Kind) -> bool | None:
    """Tell whether a call failed by the version's behaviour.

    Returns:
        None when it says nothing about behaviour, such as a timeout.
    """
    if kind is Kind.WRONG_MODEL:
        return True
    signal = POLICY[kind].behaviour
    return None if signal is Signal.IGNORE else signal is Signal.FAILURE


class FailureTest:
    """Evidence that the newer version fails where the older one does not.

    Attributes:
        pairs: Pairs that were compared.
        worse: Pairs in which only the newer version failed.
        better: Pairs in which only the older one did.
    """

    __slots__ = ("_wealth", "better", "pairs", "worse")

    def __init__(self) -> None:
        self._wealth = [1.0] * len(_BETS)
        self.pairs = self.worse = self.better = 0

    def add(self, *, newer: bool, older: bool) -> None:
        """Take one pair: whether each version failed."""
        self.pairs += 1
        if newer == older:
            return
        self.worse += newer
        self.better += older
        odds = [2 * bet if newer else 2 * (1 - bet) for bet in _BETS]
        self._wealth = [w * o for w, o in zip(self._wealth, odds, strict=True)]

    @property
    def evidence(self) -> float:
        """The e-value: at most 1 on average while the newer version is no worse."""
        return sum(self._wealth) / len(self._wealth)

    @property
    def decided(self) -> bool:
        """True when the newer version is worse."""
        return self.evidence >= 1 / ALPHA_WORSE


def similarity(one: Said, two: Said) -> float:
    """Return how alike two answers are, in [0, 1] or [-1, 1].

    The share of equal decisions where there are any, else the cosine of the texts;
    0 where only one of them is an answer.
    """
    if one.hashed is None or two.hashed is None:
        return float(one.hashed is None and two.hashed is None)
    if one.decisions and two.decisions:
        paths = sorted({*one.decisions, *two.decisions})
        same = sum(
            path in one.decisions
            and path in two.decisions
            and one.decisions[path] == two.decisions[path]
            for path in paths
        )
        return same / len(paths)
    return float(sum(a * b for a, b in zip(one.hashed, two.hashed, strict=True)))


def flip_test(
    first: Sequence[Said], second: Sequence[Said], now: Sequence[Said]
) -> float:
    """Return the p-value of "the answers now resemble the first draw less".

    Args:
        first: The reference's answers.
        second: The reference's answers to the same inputs, drawn again.
        now: The version's answers to the same inputs.
    """
    import numpy as np

    gaps = np.array(
        [
            similarity(a, b) - similarity(a, c)
            for a, b, c in zip(first, second, now, strict=True)
        ]
    )
    gaps = gaps[gaps != 0]
    if not gaps.size:
        return 1.0
    rng = np.random.default_rng(_SEED)
    signs = rng.integers(0, 2, (_FLIPS, gaps.size)) * 2 - 1
    # Ties count against it, which is exact; the sums are of the same floats.
    reached = int((signs @ gaps >= gaps.sum() - 1e-12).sum())
    return (1 + reached) / (1 + _FLIPS)


def moved(first: Sequence[Said], now: Sequence[Said]) -> Mapping[str, int]:
    """Return which decisions changed how, and how often, the most frequent first."""
    found: Counter[str] = Counter()
    for one, two in zip(first, now, strict=True):
        if one.kind is not two.kind:
            found[f"{one.kind} -> {two.kind}"] += 1
        before, after = one.decisions or {}, two.decisions or {}
        for path in {*before, *after} if before and after else ():
            if before.get(path) != after.get(path):
                was, now_is = before.get(path), after.get(path)
                found[f"{path[1:]} {was!r} -> {now_is!r}"] += 1
    return dict(found.most_common(8))


def decisions_of(fields: Fields, document: object) -> Mapping[str, object]:
    """Return the decisions in an answer, by path: enum values, flags, absences."""
    from .drift import leaves

    wanted = {path for path, _ in fields.marks}
    found: dict[str, object] = {}
    for path, leaf in leaves(cast("Any", document)):
        if path in wanted:
            known = isinstance(leaf, bool) or leaf is None
            known = known or any((path, leaf) == mark for mark in fields.marks)
            found[path] = leaf if known else "(other)"
    return found
