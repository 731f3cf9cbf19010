"""Which confidence cut-off would have kept errors under a target, from reviews."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from llmguard.errors import ConfigError
from llmguard.store import TicketLabel

__all__ = ["Calibration", "CutOff", "Reviewed", "calibrate", "reviewed_of"]

_STEPS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """One proposal that a person has judged: its confidence, and was it right."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """What taking answers from a confidence on would have meant.

    Attributes:
        confidence: Answers at or above it are taken.
        taken: Reviewed proposals that would have been.
        wrong: Those of them that people corrected.
        low: Lower end of the exact 95 % interval of the error rate.
        high: Upper end.
        bound: One-sided upper bound at the asked confidence; what decides.
    """

    confidence: float
    taken: int
    wrong: int
    low: float
    high: float
    bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether, and where, a cut-off keeps errors under the target.

    Attributes:
        verdict: `cut-off`, or `cannot tell`.
        cutoff: The lowest one that holds; None when none could be shown to.
        table: All that were looked at, highest first.
        n: Reviewed proposals with a confidence.
        needed: Reviewed proposals without any error that the target asks for.
        lowest: Lowest confidence among them.
        highest: Highest confidence among them.
        why: One sentence.
    """

    verdict: Literal["cut-off", "cannot tell"]
    cutoff: CutOff | None
    table: tuple[CutOff, ...]
    n: int
    needed: int
    lowest: float | None
    highest: float | None
    why: str


def reviewed_of(
    labels: Iterable[TicketLabel],
    *,
    pin: str | None = None,
    tier: str | None = None,
    fields: Collection[str] = (),
) -> list[Reviewed]:
    """Return the judged proposals among labels.

    Args:
        labels: Of one function.
        pin: Only of this version.
        tier: Only of this tier.
        fields: JSON pointers that count; a proposal is wrong when one of them, or
            something in or around it, differs. All of it counts when empty.
    """
    return [
        Reviewed(confidence=one.confidence, right=not _wrong(one, fields))
        for one in labels
        if one.confidence is not None
        and (pin is None or one.pin == pin)
        and (tier is None or one.tier == tier)
    ]


def _wrong(one: TicketLabel, fields: Collection[str]) -> bool:
    if not fields:
        return not one.agrees
    return any(_touches(differs, field) for differs in one.differs for field in fields)


def _touches(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def calibrate(
    reviewed: Sequence[Reviewed], *, target: float, confidence: float = 0.95
) -> Calibration:
    """Find the lowest cut-off whose error rate is shown to be under the target.

    Cut-offs are tried from the highest that could pass downwards, and the first that
    fails ends it: fixed-sequence testing, so that looking at many cut-offs does not
    weaken the statement (Angelopoulos et al., Learn then Test, 2021). Each is tested
    by the exact binomial bound (Clopper and Pearson, 1934). What it needs is that the
    reviewed proposals are like those to come, from each confidence on.

    Args:
        reviewed: Judged proposals, of one function and preferably one version.
        target: Error rate to stay under, such as 0.02.
        confidence: Of the statement.

    Raises:
        ConfigError: A number is out of bounds, or scipy is missing.
    """
    for name, value in (("target", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ConfigError(f"`{name}` is {value!r}; it must be between 0 and 1")
    needed = math.ceil(math.log(1 - confidence) / math.log1p(-target))
    ranked = sorted(reviewed, key=lambda one: -one.confidence)
    table = _table(ranked, needed, confidence)
    held: CutOff | None = None
    for row in table:
        if row.bound > target:
            break
        held = row
    return Calibration(
        verdict="cannot tell" if held is None else "cut-off",
        cutoff=held,
        table=table,
        n=len(ranked),
        needed=needed,
        lowest=ranked[-1].confidence if ranked else None,
        highest=ranked[0].confidence if ranked else None,
        why=_why(held, table, len(ranked), needed, target),
    )


def _table(
    ranked: Sequence[Reviewed], needed: int, confidence: float
) -> tuple[CutOff, ...]:
    """Return cut-offs chosen by how many they take, never by how many are wrong."""
    from llmguard.suite.stats._intervals import clopper_pearson, upper_bound

    rows: list[CutOff] = []
    step = max(1, math.ceil((len(ranked) - needed) / _STEPS))
    wrong = last = 0
    for place, one in enumerate(ranked, 1):
        wrong += not one.right
        final = place == len(ranked)
        # Equal confidences cannot be told apart by a cut-off.
        tied = not final and ranked[place].confidence == one.confidence
        if tied or place < needed or (place - last < step and not final and rows):
            continue
        last = place
        low, high = clopper_pearson(wrong, place)
        rows.append(
            CutOff(
                confidence=one.confidence,
                taken=place,
                wrong=wrong,
                low=low,
                high=high,
                bound=upper_bound(wrong, place, confidence=confidence),
            )
        )
    return tuple(rows)


def _why(
    held: CutOff | None, table: Sequence[CutOff], n: int, needed: int, target: float
) -> str:
    if held is not None:
        return (
            f"{held.wrong} of {held.taken} reviewed answers at {held.confidence:.3f} "
            f"or above were wrong: up to {held.bound:.2%}, which is under {target:.2%}"
        )
    if n < needed:
        return (
            f"{n} reviewed answers have a confidence; {needed} without any error are "
            f"the least that can show {target:.2%}"
        )
    first = table[0]
    return (
        f"even at {first.confidence:.3f} or above {first.wrong} of {first.taken} were "
        f"wrong: up to {first.bound:.2%}, which is not under {target:.2%}"
    )
