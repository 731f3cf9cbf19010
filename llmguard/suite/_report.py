"""The result of a run as data: every rendering, the evidence and `--json` read this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ._types import Scope, Status, Verdict

__all__ = [
    "AssertionReport",
    "Example",
    "PathPoint",
    "Report",
    "SliceReport",
    "Suspect",
    "VersionInfo",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """One arm of a run: the pin as asked for, and what was really served."""

    pin: str
    route: str
    provider: str
    model: str
    served: Mapping[str, int] = field(default_factory=dict[str, int])
    fingerprints: Mapping[str, int] = field(default_factory=dict[str, int])
    calls: int = 0
    cost: float | None = None
    recorded: bool = False
    """True when a baseline journal stands in for calls of the incumbent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPoint:
    """Where the evidence of an assertion stood after `n` of its calls."""

    n: int
    round: int
    failures: int
    block: float
    """E-value against "the rate is at most `tolerate`"; natural logarithm."""
    accept: float
    """E-value against "the rate is at least `unacceptable`"; natural logarithm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceReport:
    """The same assertion on one slice of the cases; not a verdict of its own."""

    name: str
    n: int
    failures: int
    rate: float
    interval: tuple[float, float]
    incumbent_n: int = 0
    incumbent_failures: int = 0
    flipped: int = 0
    """Cases that the incumbent passed mostly and the candidate fails mostly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A prompt whose own failure rate is suspect."""

    case: str
    slice: str
    n: int
    failures: int
    log_e: float
    listed: bool
    """On the e-BH list at a false discovery rate of 0.10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One failing sample beside the incumbent's on the same case."""

    case: str
    slice: str
    round: int
    inputs: Mapping[str, Any]
    candidate: str
    incumbent: str
    """Empty when the incumbent was not asked."""
    expected: str
    why: str
    flipped: bool
    """The incumbent passes this case where the candidate fails it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionReport:
    """One assertion's claim, evidence and status.

    `interval` is the exact 95 % interval of Clopper and Pearson for the candidate's
    rate (for relative assertions, of the difference); it is for reading, the status is
    decided by the e-values alone.
    """

    name: str
    kind: str
    status: Status
    sentence: str
    """Plain words: "not worse than 2 % with 95 % confidence; 171 calls"."""
    tolerate: float
    unacceptable: float
    relative: bool
    per_prompt: bool
    scope: Scope
    gating: bool
    n: int
    failures: int
    rate: float | None
    interval: tuple[float, float]
    incumbent_n: int
    incumbent_failures: int
    log_block: float
    log_accept: float
    block_at: float
    """Natural logarithm of the e-value that blocks."""
    accept_at: float
    """Natural logarithm of the e-value that accepts."""
    unjudged: int
    """Samples it had nothing to say of, infrastructure failures included."""
    detector: str
    calibration: str
    """A sentence on the detector's measured errors, or that there is none."""
    not_excluded: str
    """What the data leaves possible: "a single prompt failing up to 26 %"."""
    path: tuple[PathPoint, ...]
    slices: tuple[SliceReport, ...]
    """Worst first."""
    suspects: tuple[Suspect, ...]
    examples: tuple[Example, ...]
    """Flipped ones first."""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole run.

    Attributes:
        format: Version of this document.
        suite: Name of the suite; `suite_digest` covers cases, assertions and rates.
        function: Qualified name of the guarded function.
        verdict: What it says.
        reason: One sentence that names what decided.
        candidate: The version under test.
        incumbent: The version it was compared with; None for absolute suites.
        seed: Seed of the dispatch order.
        rounds: Rounds begun.
        calls: Calls used for the decision, both arms.
        infrastructure: Calls that failed without saying anything, by kind.
        deterministic: Cases whose first answers were identical throughout.
        cases: Number of cases.
        alpha: Chance of blocking a version that is within every tolerance.
        beta: Chance, per assertion, of accepting one that is unacceptable.
        cost: US dollars, where prices are known.
        started: Epoch seconds.
        elapsed: Seconds.
        assertions: Blocked first, then undecided, then accepted.
        stopped: Why it ended: `decided`, `cap`, `budget`, `interrupted`, `error`.
        journal: Path of the journal; empty when none was kept.
        evidence: Digest of the stored record; empty when none was stored.
        notes: Anything a reader must know: uncalibrated detectors, dropped cases.
        llmguard: Version of this package.
    """

    suite: str
    suite_digest: str
    function: str
    verdict: Verdict
    reason: str
    candidate: VersionInfo
    incumbent: VersionInfo | None
    seed: int
    rounds: int
    calls: int
    infrastructure: Mapping[str, int]
    deterministic: tuple[str, ...]
    cases: int
    alpha: float
    beta: float
    cost: float | None
    started: float
    elapsed: float
    assertions: tuple[AssertionReport, ...]
    stopped: str
    journal: str = ""
    evidence: str = ""
    notes: tuple[str, ...] = ()
    llmguard: str = ""
    format: int = 1
