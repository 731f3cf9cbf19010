"""An assertion: what may fail, how often that is tolerable, and when it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ._types import Case, Finding, Sample, Scope

if TYPE_CHECKING:
    from ..detectors import Calibration

__all__ = ["Assertion", "Judge", "Prepare"]

Judge = Callable[[Case, Sample], "Finding | None"]
"""Returns None when the assertion has nothing to say of a sample."""
Prepare = Callable[[Sequence[Sample]], Judge]
"""Makes the judge of the incumbent's samples, for limits relative to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """One claim about the rate at which calls fail.

    BLOCK needs the claim "the rate is at most `tolerate`" to be refuted, acceptance
    needs "the rate is at least `unacceptable`" to be refuted; between them there is no
    verdict.

    Attributes:
        name: Unique within the suite.
        kind: `schema`, `format`, `refusal`, `compliance`, `range`, `sentiment`,
            `tone`, `correct`, `length`, `latency`, `cost`, `custom`, `worst-prompt`.
        judge: Called with the case and a sample of it.
        tolerate: Failure rate in [0, 1) that is fine; for relative assertions the
            margin over the incumbent's rate that is.
        unacceptable: Failure rate (or margin) in (tolerate, 1] that is not.
        tags: Only cases with all of these; empty for every case.
        slices: Only cases of these slices; empty for every slice.
        boundary: Only cases marked so; empty for every case, boundary or not.
        needs_expected: Only cases with a reference answer.
        relative: Compared with the incumbent on the same prompts instead of with
            fixed rates.
        per_prompt: The claim is about each single prompt, not about their mean.
        scope: Whether the claim is about these prompts or about the traffic that they
            are a sample of.
        gating: False reports without a say in the verdict ("pending").
        detector: Id and version of the detector that decides, such as
            `refusal-lexicon/1`; empty for exact checks. Part of the digest.
        calibration: Measured errors of that detector; None says so in the report.
        version: Stands for the judge in the suite's digest.
        prepare: Makes the judge once the incumbent's samples are known; None when
            `judge` needs nothing of them.
        source: Where the rates come from, one phrase, for reports.
        without: Never cases of this boundary; empty to leave none out.
        field: The part of the answer it reads; empty for the whole, or none. A suite
            refuses a field that the contract's schema lacks.
        waits: True when the judge asks a model: call it on a thread, and expect None
            where the model cannot be reached.

    Raises:
        ConfigError: The two rates leave no gap in [0, 1], or `tolerate` is 0.
    """

    name: str
    kind: str
    judge: Judge
    tolerate: float
    unacceptable: float
    tags: frozenset[str] = frozenset()
    slices: frozenset[str] = frozenset()
    boundary: str = ""
    needs_expected: bool = False
    relative: bool = False
    per_prompt: bool = False
    scope: Scope = "suite"
    gating: bool = True
    detector: str = ""
    calibration: Calibration | None = None
    version: str = ""
    prepare: Prepare | None = None
    source: str = ""
    without: str = ""
    field: str = ""
    waits: bool = False

    def __post_init__(self) -> None:
        low, high = self.tolerate, self.unacceptable
        if not 0 <= low < high <= 1:
            raise ConfigError(
                f"assertion `{self.name}`: `tolerate` {low!r} and `unacceptable` "
                f"{high!r} must satisfy 0 <= tolerate < unacceptable <= 1; the gap "
                "between them is what the calls are spent on"
            )
        if not self.relative and low == 0:
            raise ConfigError(
                f"assertion `{self.name}`: `tolerate=0` would block on the first "
                "failure of a version that fails once in a million; give the rate you "
                "can live with, such as `tolerate=0.001`"
            )

    def applies(self, case: Case) -> bool:
        """Tell whether a case is among those the claim is about."""
        return (
            self.tags <= case.tags
            and (not self.slices or case.slice in self.slices)
            and (not self.boundary or case.boundary == self.boundary)
            and (not self.without or case.boundary != self.without)
            and (not self.needs_expected or case.has_expected)
        )

    @property
    def decided_rates(self) -> tuple[float, float]:
        """The two rates to hold observed failures against.

        `tolerate` and `unacceptable` themselves, or what a calibrated detector shows
        where the true rates are those: false alarms raise it, misses lower it.

        Raises:
            ConfigError: The detector cannot tell the two rates apart.
        """
        if self.calibration is None:
            return self.tolerate, self.unacceptable
        return self.calibration.widen(
            self.tolerate, self.unacceptable, relative=self.relative
        )
