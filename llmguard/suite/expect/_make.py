"""What every builder shares: default rates, selectors, and how an answer is missing.

Default rates are those that this project recommends per kind; each `source` says so.
They are a start to be argued with, not a standard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypedDict

from ...contract._digest import canonical
from ...errors import ConfigError
from ...outcome import Kind
from .._assertion import Assertion, Judge, Prepare
from .._types import Boundary, Case, Finding, Sample

if TYPE_CHECKING:
    from ...detectors import Calibration

__all__ = [
    "RATES",
    "Options",
    "Rates",
    "declined",
    "judge_value",
    "make",
    "one_line",
]

_SHOWN: Final = 160


class Options(TypedDict, total=False):
    """What every builder takes beside its own arguments.

    `name` (in reports; the builder's own unless given), `tolerate` and `unacceptable`
    (rates; for relative assertions margins over the incumbent's rate), `tags`,
    `slices` and `boundary` (which cases), `relative` (compare with the incumbent),
    `gating` (False reports without a say in the verdict).
    """

    name: str
    tolerate: float
    unacceptable: float
    tags: Iterable[str]
    slices: Iterable[str]
    boundary: Boundary
    relative: bool
    gating: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """The default rates of one kind."""

    tolerate: float
    unacceptable: float


RATES: Final[Mapping[str, Rates]] = {
    "schema": Rates(0.005, 0.02),
    "format": Rates(0.01, 0.05),
    "refusal": Rates(0.05, 0.15),
    "compliance": Rates(0.01, 0.05),
    "range": Rates(0.01, 0.05),
    "sentiment": Rates(0.02, 0.08),
    "tone": Rates(0.02, 0.08),
    "correct": Rates(0.0, 0.05),
    "length": Rates(0.05, 0.12),
    "latency": Rates(0.05, 0.12),
    "cost": Rates(0.05, 0.12),
    "custom": Rates(0.01, 0.05),
    "worst-prompt": Rates(0.05, 0.3),
}
"""Failure rates tolerated and unacceptable; margins for `correct`."""


def make(
    kind: str,
    judge: Judge,
    options: Options,
    *,
    name: str,
    version: Iterable[object],
    rates: Rates | None = None,
    without: Boundary = "",
    field: str = "",
    needs_expected: bool = False,
    per_prompt: bool = False,
    detector: str = "",
    calibration: Calibration | None = None,
    prepare: Prepare | None = None,
    waits: bool = False,
) -> Assertion:
    """Build an assertion with the kind's default rates.

    Args:
        kind: One of `RATES`.
        judge: Says of a case and a sample whether it failed.
        options: As the caller of the builder gave them.
        name: The name unless the options give one.
        version: What stands for the judge in the digest: a version and all arguments.
        rates: Default rates instead of the kind's.
        without: Boundary whose cases are left out.
        field: The part of the answer it reads.
        needs_expected: Only cases with a reference answer.
        per_prompt: A claim about each single prompt.
        detector: Id of the detector that decides.
        calibration: Its measured errors, positive meaning failed.
        prepare: Makes the judge of the incumbent's samples.
        waits: The judge asks a model.

    Raises:
        ConfigError: A rate or a selector is wrong.
    """
    rates = rates or RATES[kind]
    own = "tolerate" not in options and "unacceptable" not in options
    boundary = options.get("boundary", "")
    return Assertion(
        name=options.get("name") or name,
        kind=kind,
        judge=judge,
        tolerate=options.get("tolerate", rates.tolerate),
        unacceptable=options.get("unacceptable", rates.unacceptable),
        tags=_words(options, "tags", name),
        slices=_words(options, "slices", name),
        boundary=boundary,
        needs_expected=needs_expected,
        relative=options.get("relative", False),
        per_prompt=per_prompt,
        gating=options.get("gating", True),
        detector=detector,
        calibration=calibration,
        version=canonical([*version]),
        prepare=prepare,
        source="default of llmguard" if own else "given by the suite",
        without="" if boundary else without,
        field=field,
        waits=waits,
    )


def _words(options: Mapping[str, Any], key: str, name: str) -> frozenset[str]:
    given: Any = options.get(key, ())
    if isinstance(given, str):
        raise ConfigError(
            f"`{key}` of `{name}` is the text {given!r}; write a list, `[{given!r}]`"
        )
    return frozenset(given)


def declined(sample: Sample) -> bool:
    """Tell whether the provider or the contract says that the model declined."""
    return sample.kind in {Kind.REFUSAL, Kind.FILTERED} or bool(sample.refusal)


def judge_value(
    case: Case, sample: Sample, test: Callable[[Any], Finding | None]
) -> Finding | None:
    """Judge the validated answer; say what a missing one counts as.

    A call that failed for reasons of infrastructure says nothing. A refusal of a case
    with a `boundary` is left to the assertions on refusals. Any other missing answer
    has failed: the caller gets nothing to work with.
    """
    if sample.infrastructure:
        return None
    if declined(sample):
        if case.boundary:
            return None
        return Finding(failed=True, detail="no answer: the model declined")
    if not sample.has_value:
        said = f": {one_line(sample.detail)}" if sample.detail else ""
        return Finding(failed=True, detail=f"no valid answer ({sample.kind}){said}")
    return test(sample.value)


def one_line(text: str, limit: int = _SHOWN) -> str:
    """Put a text on one line and cut it."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
