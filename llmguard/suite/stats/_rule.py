"""A rule to decide, the counts it is decided on, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import ConfigError
from .._report import PathPoint, Suspect
from .._types import Scope, Status

__all__ = ["CaseCount", "Rule", "RuleState", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One assertion, as the statistics see it.

    Attributes:
        name: Unique within the suite.
        tolerate: Failure rate (or margin over the incumbent) that is fine.
        unacceptable: Failure rate (or margin) that is not; the gap is what the calls
            are spent on.
        relative: Compared with the incumbent on the same prompt.
        per_prompt: The claim is about every single prompt, not about their mean.
        scope: `suite` speaks of these prompts; `traffic` takes them as a sample.
        gating: False is reported and has no say in the verdict.
        cases: How many cases it applies to; 0 for all of the suite.

    Raises:
        ConfigError: The two rates leave no gap in their range.
    """

    name: str
    tolerate: float
    unacceptable: float
    relative: bool = False
    per_prompt: bool = False
    scope: Scope = "suite"
    gating: bool = True
    cases: int = 0

    def __post_init__(self) -> None:
        lowest = self.tolerate >= 0 if self.relative else self.tolerate > 0
        if not (lowest and self.tolerate < self.unacceptable <= 1):
            sign = "<=" if self.relative else "<"
            raise ConfigError(
                f"rule `{self.name}`: `tolerate` {self.tolerate!r} and `unacceptable` "
                f"{self.unacceptable!r} must satisfy 0 {sign} tolerate < unacceptable "
                "<= 1; give two rates with a gap, such as 0.005 and 0.02"
            )


@dataclass(slots=True)
class Tally:
    """Counts of one case, or of all."""

    n: int = 0
    failures: int = 0
    incumbent_failures: int = 0
    worse: int = 0
    better: int = 0

    def add(self, *, failed: bool, incumbent_failed: bool) -> None:
        """Count one call, or one pair of calls."""
        self.n += 1
        self.failures += failed
        self.incumbent_failures += incumbent_failed
        self.worse += failed and not incumbent_failed
        self.better += incumbent_failed and not failed


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseCount:
    """One case under one rule.

    Attributes:
        n: Judged calls (pairs, for relative rules).
        failures: Of the candidate.
        incumbent_failures: Of the incumbent.
        log_e: Logarithm of the e-value against "this prompt's own rate is tolerable".
    """

    n: int
    failures: int
    incumbent_failures: int
    log_e: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleState:
    """Where one rule stands; frozen at the moment it was decided.

    Attributes:
        rule: The rule.
        status: Open, accepted or blocked.
        n: Judged calls (pairs, for relative rules).
        failures: Of the candidate.
        incumbent_failures: Of the incumbent; 0 unless the rule is relative.
        worse: Pairs in which only the candidate failed.
        better: Pairs in which only the incumbent failed.
        log_block: Natural logarithm of the e-value against "tolerable". Within a round
            of a `suite` rule it is what the round's end will show if nothing else
            fails, so it falls when a round begins.
        log_accept: Natural logarithm of the e-value against "unacceptable", at the
            last point where it may accept.
        block_at: Natural logarithm of the e-value that blocks, log(K / alpha).
        accept_at: Natural logarithm of the e-value that accepts, log(1 / beta).
        decided_at: Judged calls when it was decided; None while it is open.
        path: The evidence over time.
        suspects: Prompts whose own e-value is above 1, worst first; `listed` by the
            e-BH procedure at a false discovery rate of 0.10. `slice` is left empty.
        cases: Counts per case.
    """

    rule: Rule
    status: Status
    n: int
    failures: int
    incumbent_failures: int
    worse: int
    better: int
    log_block: float
    log_accept: float
    block_at: float
    accept_at: float
    decided_at: int | None
    path: tuple[PathPoint, ...]
    suspects: tuple[Suspect, ...]
    cases: Mapping[str, CaseCount] = field(default_factory=dict[str, CaseCount])

    @property
    def rate(self) -> float | None:
        """The candidate's failure rate; None before the first judged call."""
        return self.failures / self.n if self.n else None
