"""What a reader of a suite's reports must know beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._near import quoted

if TYPE_CHECKING:
    from ._suite import Suite

__all__ = ["notes"]


def notes(suite: Suite) -> tuple[str, ...]:
    """Return what a reader of the suite's reports must know."""
    return tuple(_notes(suite))


def _notes(suite: Suite) -> Iterator[str]:
    for each in suite.assertions:
        if each.detector and each.calibration is None:
            yield (
                f"`{each.name}` rests on the detector `{each.detector}`, whose errors "
                "on this model family are not known: its rates are the detector's own"
            )
    yield from _refusal_notes(suite)
    covered = {
        case.id
        for each in suite.assertions
        if each.gating
        for case in suite.cases_of(each)
    }
    idle = [case.id for case in suite.cases if case.id not in covered]
    if idle:
        yield f"no gating assertion is about {len(idle)} cases: {quoted(idle[:5])}"
    if suite.scope == "traffic":
        yield (
            f"the claims are about traffic, and {len(suite.cases)} cases are the "
            "sample: more cases with fewer calls each say more"
        )


def _refusal_notes(suite: Suite) -> Iterator[str]:
    """Say where refusals near the border are judged by nobody."""
    for boundary, builder in (("answer", "refusal"), ("refuse", "compliance")):
        cases = {case.id for case in suite.cases if case.boundary == boundary}
        judged = {
            case.id
            for each in suite.assertions
            if each.kind == builder and each.gating
            for case in suite.cases_of(each)
        }
        if cases - judged:
            yield (
                f"{len(cases - judged)} cases have `boundary` {boundary!r} and no "
                f"gating `{builder}` is about them: whether the model declines them "
                "decides nothing"
            )
