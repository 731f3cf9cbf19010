"""The vocabulary of suites: a case, one sampled call, what an assertion found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..outcome import Kind, Usage, Violation

__all__ = [
    "INFRASTRUCTURE",
    "Arm",
    "Boundary",
    "Case",
    "Finding",
    "Sample",
    "Scope",
    "Status",
    "Verdict",
]

Arm = Literal["candidate", "incumbent"]
Boundary = Literal["", "answer", "refuse"]
Scope = Literal["suite", "traffic"]

INFRASTRUCTURE: Final = frozenset(
    {
        Kind.TRANSPORT,
        Kind.TIMEOUT,
        Kind.THROTTLED,
        Kind.AUTH,
        Kind.BAD_REQUEST,
        Kind.CANCELLED,
        Kind.OPEN,
        Kind.SKIPPED,
        Kind.ERROR,
        Kind.WRONG_MODEL,
    }
)
"""Kinds that say nothing about how the version behaves; counted apart."""


class Verdict(enum.StrEnum):
    """What a suite says about a candidate version."""

    PROMOTE = "PROMOTE"
    """Every gating assertion refuted its unacceptable rate."""
    BLOCK = "BLOCK"
    """Some gating assertion refuted its tolerated rate."""
    UNDECIDED = "UNDECIDED"
    """The cap or the budget was reached first; never to be read as a pass."""
    ERROR = "ERROR"
    """The run cannot be judged: infrastructure, suite or incumbent is broken."""

    @property
    def exit_code(self) -> int:
        """0 for PROMOTE, 1 for BLOCK, 2 for UNDECIDED, 3 for ERROR."""
        return list(Verdict).index(self)


class Status(enum.StrEnum):
    """Where one assertion stands."""

    OPEN = "undecided"
    ACCEPTED = "accepted"
    BLOCKED = "blocked"
    ERROR = "error"
    """It cannot be judged: the incumbent fails it, or a detector is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One prompt of a suite.

    Attributes:
        id: Unique within the suite; also the `prompt_id` of recordings.
        inputs: Arguments of the guarded function, by name.
        expected: The reference answer, as JSON-able data; None for none
            (`has_expected` tells an expected null from no expectation).
        has_expected: True when `expected` is a reference.
        tags: Words that assertions select by.
        slice: The one group the case is reported under; empty for none.
        boundary: `answer` for a prompt near the border that must be answered,
            `refuse` for one that must be declined, empty for others.
        weight: Share of traffic it stands for, any unit; reports only.
        meta: Anything else; kept, shown in reports, not part of the digest.
    """

    id: str
    inputs: Mapping[str, Any]
    expected: Any = None
    has_expected: bool = False
    tags: frozenset[str] = frozenset()
    slice: str = ""
    boundary: Boundary = ""
    weight: float = 1.0
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One call of one arm: one line of the journal.

    Attributes:
        case: Id of the case.
        arm: Which version was asked.
        round: 1 for the first time the case was asked, and so on.
        order: Place in the dispatch order of the run, from 0; results are read in
            this order, whatever order they arrived in.
        kind: How the call ended.
        value: The validated answer as JSON-able data; None when there is none.
        has_value: True when the contract accepted an answer.
        text: What the model wrote; None when it wrote nothing.
        refusal: The refusal's text, where the provider marked one.
        finish_reason: As the provider said.
        violations: Why the contract refused the output.
        detail: One line for people.
        tool_calls: `{"name": ..., "arguments": ...}` each, never executed.
        latency: Seconds of the attempt that was judged.
        usage: Tokens counted by the provider.
        cost: US dollars by the price table; None when no price is known.
        confidence: Confidence of the answer in [0, 1], when the tier gives one.
        served_model: Model id that the provider echoed.
        fingerprint: The provider's system fingerprint.
        prompt_digest: Digest of the prompt that was sent, when it is a `Prompt`.
        attempts: Tries it took, transport retries included.
        at: Epoch seconds when it was sent.
    """

    case: str
    arm: Arm
    round: int
    order: int
    kind: Kind
    value: Any = None
    has_value: bool = False
    text: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    violations: tuple[Violation, ...] = ()
    detail: str = ""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    latency: float = 0.0
    usage: Usage | None = None
    cost: float | None = None
    confidence: float | None = None
    served_model: str | None = None
    fingerprint: str | None = None
    prompt_digest: str = ""
    attempts: int = 1
    at: float = 0.0

    @property
    def infrastructure(self) -> bool:
        """True when the call says nothing about behaviour."""
        return self.kind in INFRASTRUCTURE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an assertion says of one sample.

    Attributes:
        failed: True when the sample breaches the assertion.
        detail: One sentence on why it failed (or what was measured).
        score: The measured number, where there is one (length, sentiment, cost).
    """

    failed: bool
    detail: str = ""
    score: float | None = None
