"""The plain words of a report: what was shown, and what was not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._types import Status, Verdict
from .stats import upper_bound

if TYPE_CHECKING:
    from ._assertion import Assertion
    from ._report import AssertionReport
    from .stats import RuleState

__all__ = ["calibration", "not_excluded", "percent", "reason", "sentence"]

_CONFIDENCE = 0.95


def percent(rate: float) -> str:
    """Return a rate as people read it: `0.5 %`, `12 %`, `0.03 %`."""
    return f"{100 * rate:.3g} %"


def _calls(n: int, what: str) -> str:
    return f"{n} {what}" if n != 1 else f"1 {what.removesuffix('s')}"


def sentence(assertion: Assertion, state: RuleState, *, beta: float) -> str:
    """Return what was shown of one assertion."""
    what = "pairs" if assertion.relative else "calls"
    seen = f"{_calls(state.n, what)}, {state.failures} failed"
    if assertion.relative:
        seen += f", {state.incumbent_failures} of the incumbent's"
    if not state.n:
        return "nothing could be judged"
    low, high = percent(assertion.tolerate), percent(assertion.unacceptable)
    if state.status is Status.ACCEPTED:
        sure = f"with {1 - beta:.0%} confidence".replace("%", " %")
        return f"{_good(assertion, high)} {sure}; {seen}"
    if state.status is Status.BLOCKED:
        odds = f"{math.exp(state.block_at):,.0f}"
        return (
            f"{_bad(assertion, low)}; {seen}; a version within its tolerance comes to "
            f"this at most once in {odds} runs"
        )
    return f"undecided between {low} and {high}; {seen}"


def _good(assertion: Assertion, high: str) -> str:
    if assertion.per_prompt:
        return f"no case fails {high} of the time or more"
    if assertion.relative:
        return f"less than {high.replace(' %', ' points')} worse than the incumbent"
    return f"not worse than {high}"


def _bad(assertion: Assertion, low: str) -> str:
    if assertion.per_prompt:
        return f"some case fails more than the tolerated {low} of the time"
    if assertion.relative:
        points = low.replace(" %", " points")
        return f"worse than the incumbent by more than the tolerated {points}"
    return f"worse than the tolerated {low}"


def not_excluded(
    assertion: Assertion, state: RuleState, interval: tuple[float, float]
) -> str:
    """Return what the data leaves possible, with 95 % confidence."""
    if not state.n:
        return "anything"
    if assertion.relative:
        points = percent(interval[1]).replace(" %", " points")
        whole = f"a rate {points} above the incumbent's"
    else:  # one-sided, as what was shown is: the interval beside it is two-sided
        whole = f"a rate of up to {percent(upper_bound(state.failures, state.n))}"
    counts = [count for count in state.cases.values() if count.n]
    clean = [count.n for count in counts if not count.failures]
    if not clean:
        return whole
    single = 1 - (1 - _CONFIDENCE) ** (1 / min(clean))
    n = _calls(min(clean), "calls")
    return (
        f"{whole}; a single case failing up to {percent(single)} of the time (0 of {n})"
    )


def calibration(assertion: Assertion) -> str:
    """Return a sentence on the detector's measured errors; empty for exact checks."""
    if assertion.calibration is not None:
        return assertion.calibration.sentence
    if not assertion.detector:
        return ""
    return (
        f"uncalibrated: nobody measured how often `{assertion.detector}` errs on this "
        "model's answers; `llmguard suite calibrate` does"
    )


_STOPPED = {
    "cap": "the cap on rounds was reached",
    "budget": "the budget was spent",
    "interrupted": "it was interrupted",
    "recording": "the recording holds no more answers",
}


def reason(
    verdict: Verdict, reports: Sequence[AssertionReport], *, stopped: str, error: str
) -> str:
    """Return one sentence that names what decided."""
    gating = [each for each in reports if each.gating]
    if verdict is Verdict.ERROR:
        return error
    if verdict is Verdict.BLOCK:
        worst = [each for each in gating if each.status is Status.BLOCKED]
        names = ", ".join(f"`{each.name}`" for each in worst)
        return f"{names}: {worst[0].sentence}"
    if verdict is Verdict.PROMOTE:
        return f"every one of {_calls(len(gating), 'assertions')} was accepted"
    left = [f"`{each.name}`" for each in gating if each.status is Status.OPEN]
    why = _STOPPED.get(stopped, stopped)
    return f"{why} before {', '.join(left)} could be decided"
